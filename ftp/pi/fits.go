package pi

import (
	"fmt"
	"slices"

	"miniftp/ftp"
)

// OutOfStep ends the connection because of a reply that does not fit its command.
func (c *Conn) OutOfStep(verb string, r ftp.Reply) error {
	if verb == "" {
		verb = "nothing that was sent"
	}
	return c.Fail(fmt.Errorf("%w: %q was the answer to %s", ErrOutOfStep, clip(c.secrets.Mask(r.String())), verb))
}

// Groups of reply codes (RFC 959 §4.2.1): 20 means 200 to 209.
const (
	syntax = 20
	login  = 23
	file   = 25
)

// ends lists the codes of success with which a command may end: those of RFC 959 §5.4, 2389, 2428 and 3659,
// and those that servers send instead. A command that is not listed may end with any code that is
// not in named.
var ends = map[string][]ftp.Code{
	"USER": {login, syntax, 331, 336}, "PASS": {login, syntax}, "ACCT": {login, syntax, file},
	"CWD": {file, syntax, 257}, "CDUP": {file, syntax, 257}, "PWD": {257, file, syntax},
	"MKD": {257, file, syntax}, "RMD": {file, syntax}, "DELE": {file, syntax}, "RNFR": {350}, "RNTO": {file, syntax},
	"EPSV": {229}, "PASV": {227, 229}, "CPSV": {227, 229}, "EPRT": {syntax, file}, "PORT": {syntax, file},
	"TYPE": {syntax, file}, "MODE": {syntax, file}, "STRU": {syntax, file}, "REST": {350}, "ALLO": {syntax, file},
	"PBSZ": {syntax, file}, "PROT": {syntax, file}, "NOOP": {syntax, file}, "OPTS": {syntax, 21, file},
	"SIZE": {213}, "MDTM": {213, syntax, file}, "MFMT": {213, syntax, file}, "MLST": {file, syntax, 21},
	"FEAT": {21, syntax, file}, "SYST": {215, syntax}, "HASH": {213, syntax, file},
	"XCRC": {syntax, 21, file}, "XMD5": {syntax, 21, file}, "XSHA1": {syntax, 21, file},
	"XSHA256": {syntax, 21, file}, "XSHA512": {syntax, 21, file},
	"RETR": {225, 226, syntax, file}, "STOR": {225, 226, syntax, file}, "APPE": {225, 226, syntax, file}, "STOU": {225, 226, syntax, file},
	"LIST": {225, 226, syntax, file, 21}, "NLST": {225, 226, syntax, file, 21}, "MLSD": {225, 226, syntax, file, 21},
	"ABOR": {225, 226, syntax, file},
}

// named lists codes with a specific meaning: they fit only commands for which ends lists the code itself, not
// just its group.
var named = []ftp.Code{227, 228, 229, 257}

// Fits reports whether code can be that of the final reply to a command. Any command may be refused or need an
// account.
func Fits(verb string, code ftp.Code) bool {
	if class := code.Class(); class == ftp.TransientFail || class == ftp.PermanentFail || code == 332 {
		return true
	}
	only := slices.Contains(named, code)
	legal, known := ends[verb]
	return !known && !only || slices.Contains(legal, code) || !only && slices.Contains(legal, code/10)
}

// FitsLoosely is Fits for a server that gets one command at a time: some servers reply 200 to every command
// that they do not know.
func FitsLoosely(verb string, code ftp.Code) bool {
	return Fits(verb, code) || code == 200 || code == 202
}
