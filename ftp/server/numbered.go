package server

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"miniftp/ftp"
)

// A device uploads under names that it chooses itself, often the same ones every day. If a name exists and the account may
// not replace the file, the upload gets a numbered name (Account.numbersNames):
//
//	picture.jpg, picture-1.jpg, picture-2.jpg …
//
// A name can also be taken by another upload while this one runs. Then its commit fails, and it gets another number
// (upload.another). A storage that makes the files itself can't do that, because it is told the name at the beginning; there
// the names of running uploads are reserved.

const (
	maxNumber  = 1 << 20 // of a name
	maxNumbers = 100     // names that one upload tries: each can be taken between the look and the commit
)

// A client continues to use the name that it has sent: it sets the time of the file, checks its size, or renames it. So the session
// remembers which names were given to its last files, and these commands act on them (meant).

// maxGiven is how many names a session remembers.
const maxGiven = 8

// givenName is the name that a file has got instead of the one that the client has sent.
type givenName struct{ asked, given string }

// give records that a file has got another name. The oldest record is dropped if there are too many.
func (s *session) give(asked, given string) {
	s.forgetGiven(asked)
	if s.given == nil {
		s.given = &[maxGiven]givenName{}
	}
	copy(s.given[1:], s.given[:maxGiven-1])
	s.given[0] = givenName{asked, given}
}

// forgetGiven drops what give has recorded of a name, because the client uses it for another file.
func (s *session) forgetGiven(asked string) {
	if s.given == nil {
		return
	}
	for i, g := range s.given {
		if g.asked == asked {
			copy(s.given[i:], s.given[i+1:])
			s.given[maxGiven-1] = givenName{}
			return
		}
	}
}

// givenTo returns the path that was given to the file which the client has stored as p, or p.
func (s *session) givenTo(p string) string {
	if s.given == nil {
		return p
	}
	for _, g := range s.given {
		if g.asked == p {
			return g.given
		}
	}
	return p
}

// meant is like resolve, for the file that the client knows by that name.
func (s *session) meant(arg string) string { return s.givenTo(s.resolve(arg)) }

// isTaken reports whether an upload failed because it may not have its name, but may have another one.
func isTaken(err error) bool {
	return errors.Is(err, errExists) || errors.Is(err, errTaken) || errors.Is(err, errReserved)
}

// openNumbered prepares a STOR to a numbered name, because p is taken.
func (s *session) openNumbered(p string) (incoming, error) {
	for range maxNumbers {
		name, err := s.freeNumber(p)
		if err != nil {
			return nil, err
		}
		u, err := s.openNamed(name, p, 0)
		if !isTaken(err) {
			return u, err
		}
	}
	return nil, errExists
}

// another gives an upload whose commit has failed with errTaken another name, and reports whether commit may be called
// again. If not, the upload has ended.
func (u *upload) another() bool {
	if u.asked == "" || !u.closed {
		return false
	}
	if u.numbers++; u.numbers <= maxNumbers {
		if name, err := u.s.freeNumber(u.asked); err == nil {
			u.path, u.old = name, nil
			if _, u.name = u.s.at(name); u.dir != nil {
				u.name = path.Base(name)
			}
			return true
		}
	}
	u.leaveIncomplete()
	u.keep(errTaken)
	u.release()
	return false
}

// renameNumbered renames a file to a numbered name, because to is taken.
func (s *session) renameNumbered(from, to string) ftp.Reply {
	if s.givenTo(to) == from {
		return ftp.Replyf(250, "%s keeps its name: %s is another file.", from, to)
	}
	for range maxNumbers {
		name, err := s.freeNumber(to)
		if err != nil {
			return uploadError(err, to)
		}
		switch err = s.renameNew(from, name); {
		case err == nil:
			s.give(to, name)
			return ftp.Replyf(250, "Renamed to %s: %s exists.", name, to)
		case !errors.Is(err, fs.ErrExist):
			return s.renamed(from, name, err)
		}
	}
	return uploadError(errExists, to)
}

// another returns false: the storage has been told the name.
func (u *storedUpload) another() bool { return false }

// freeNumber returns a numbered name that does not exist. There may be thousands, so it doubles the number until it finds
// one that is free, and then looks between that and the last one that is taken. If the numbers have gaps, it need not be the
// lowest one.
func (s *session) freeNumber(p string) (string, error) {
	taken, free := 0, 1
	for {
		is, err := s.isNumberTaken(p, free)
		if err != nil {
			return "", err
		}
		if !is {
			break
		}
		if taken, free = free, 2*free; free > maxNumber {
			return "", errExists
		}
	}
	for free-taken > 1 {
		middle := (taken + free) / 2
		is, err := s.isNumberTaken(p, middle)
		switch {
		case err != nil:
			return "", err
		case is:
			taken = middle
		default:
			free = middle
		}
	}
	return numberedName(p, free), nil
}

func (s *session) isNumberTaken(p string, n int) (bool, error) {
	name := numberedName(p, n)
	if s.srv.uploads.isHeld(s.account, name) {
		return true, nil
	}
	_, err := lstat(s.account.FS, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// longestExtension is what may follow the last dot of a name for the number to come before it.
const longestExtension = 16

// numberedName returns p with a number before the extension. The name is shortened if there is no room for the number.
func numberedName(p string, n int) string {
	dir, base := path.Split(p)
	ext := path.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	if stem == "" || len(ext) > longestExtension {
		stem, ext = base, ""
	}
	mark := fmt.Sprintf("-%d", n)
	if end := longestName - len(mark) - len(ext); len(stem) > end {
		for end > 0 && !utf8.RuneStart(stem[end]) { // some filesystems accept only valid UTF-8
			end--
		}
		stem = stem[:end]
	}
	return dir + stem + mark + ext
}
