package ftp

import (
	"io/fs"
	"strings"
)

// FTP has one code, 550, for a file that is missing, one that is out of bounds and one that is
// in use. So the words of the reply decide, and this file is the one place that reads them.

// Words of servers that name a reason, in small letters.
var (
	missingWords = []string{"no such", "not found", "not exist", "n't exist", "cannot find", "can't find", "no files found"}
	deniedWords  = []string{"permission", "denied", "not permitted", "not allowed", "read-only", "read only", "prohibited", "forbidden"}
	existsWords  = []string{"exists", "already exist", "existing"}
	// otherWords name a reason for which package fs has no error.
	otherWords = []string{
		"not empty", "a directory", "not a plain", "not a regular", "in use", "being used", "busy", "locked", "sharing violation",
		"quota", "no space", "disk full", "too large", "too long", "timed out", "timeout",
	}
)

// Cause returns the reason that the words of the reply name: fs.ErrNotExist, fs.ErrExist or
// fs.ErrPermission. It is nil if they name none of these or several: "Failed to open file." is
// all that some servers say, whatever the reason.
func (e *Error) Cause() error {
	_, cause := e.reads()
	return cause
}

// reads is Cause. other reports whether the words name another reason.
func (e *Error) reads() (other bool, cause error) {
	text := strings.ToLower(e.Text())
	if containsAny(text, otherWords) {
		return true, nil
	}
	missing := containsAny(text, missingWords)
	denied := containsAny(text, deniedWords)
	switch {
	case missing && denied:
	case missing:
		cause = fs.ErrNotExist
	case containsAny(text, existsWords):
		cause = fs.ErrExist
	case denied:
		cause = fs.ErrPermission
	}
	return false, cause
}

// Is maps a refusal to an error of io/fs: to its Cause, or else to what its code says. A 550 or
// 450 whose words say nothing is fs.ErrNotExist only as the answer to a command that looks at a
// file or reads it, for which that is by far the most common reason. As the answer to a command
// that changes something it is none of the errors, since a program takes fs.ErrNotExist for
// leave to go on: the name would be free, or the file deleted.
func (e *Error) Is(target error) bool {
	if e.Code != 550 && e.Code != 450 && e.Code != 553 && e.Code != 521 {
		return false
	}
	other, cause := e.reads()
	switch {
	case cause != nil || other:
	case e.Code == 521:
		cause = fs.ErrExist
	case e.Code == 553:
		cause = fs.ErrPermission
	case looks(e.Verb):
		cause = fs.ErrNotExist
	}
	return cause != nil && target == cause
}

// looks reports whether a verb looks at a file or a directory, or reads it. RNFR changes nothing,
// but is refused for want of the right to rename as well.
func looks(verb string) bool {
	switch verb {
	case "RETR", "SIZE", "MDTM", "MLST", "MLSD", "LIST", "NLST", "STAT", "CWD", "XCWD", "HASH",
		"XCRC", "XMD5", "MD5", "XSHA", "XSHA1", "XSHA256", "XSHA512":
		return true
	}
	return false
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
