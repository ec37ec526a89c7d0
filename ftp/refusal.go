package ftp

import (
	"io/fs"
	"strings"
)

// FTP has the single code 550 for a file that does not exist, one that the user may not access
// and one that is in use. Only the text of the reply shows the reason. All code that interprets
// such texts is in this file.

// Phrases in replies of servers that name a reason, in lower case.
var (
	missingWords = []string{"no such", "not found", "not exist", "n't exist", "cannot find", "can't find", "no files found"}
	deniedWords  = []string{"permission", "denied", "not permitted", "not allowed", "read-only", "read only", "prohibited", "forbidden"}
	existsWords  = []string{"exists", "already exist", "existing"}
	// otherWords name reasons for which package fs has no error.
	otherWords = []string{
		"not empty", "a directory", "not a plain", "not a regular", "in use", "being used", "busy", "locked", "sharing violation",
		"quota", "no space", "disk full", "too large", "too long", "timed out", "timeout",
	}
)

// Cause returns the reason that the text of the reply names: fs.ErrNotExist, fs.ErrExist or
// fs.ErrPermission. It returns nil if the text names none of these or more than one. Some
// servers reply "Failed to open file." whatever the reason is.
func (e *Error) Cause() error {
	_, cause := e.textCause()
	return cause
}

// textCause implements Cause. other reports whether the text names a reason without an error in
// package fs.
func (e *Error) textCause() (other bool, cause error) {
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

// Is reports whether the reply means target, an error of io/fs, according to its Cause or else
// to its code and verb.
//
// A 550 or 450 whose text names no reason is fs.ErrNotExist only if the command reads or
// examines a file, because there a missing file is by far the most common reason. For a command
// that changes something it matches no error of io/fs: a program that sees fs.ErrNotExist would
// conclude that the name is free, or that the file is already deleted.
func (e *Error) Is(target error) bool {
	if e.Code != 550 && e.Code != 450 && e.Code != 553 && e.Code != 521 {
		return false
	}
	other, cause := e.textCause()
	switch {
	case cause != nil || other:
	case e.Code == 521:
		cause = fs.ErrExist
	case e.Code == 553:
		cause = fs.ErrPermission
	case onlyReads(e.Verb):
		cause = fs.ErrNotExist
	}
	return cause != nil && target == cause
}

// onlyReads reports whether verb reads or examines a file or a directory. RNFR is not among them,
// although it changes nothing: it is also refused when the user may not rename.
func onlyReads(verb string) bool {
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
