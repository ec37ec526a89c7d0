package server_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"miniftp/ftp/server"
)

var update = flag.Bool("update", false, "update docs/protocol.md")

// docs/protocol.md is the same as the command table.
func TestProtocolDoc(t *testing.T) {
	const name = "../../docs/protocol.md"
	want := protocolDoc()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from the command table: make golden updates it", name)
	}
}

// differences is the part of the document that is not derived from the table.
const differences = `
## Where servers differ

What this server does where the RFCs leave a choice, or other servers choose otherwise:

- **X-MINIFTP** in FEAT identifies this server, whatever its greeting says. Clients that see it may send several
  commands in one write, which are answered in order, and need not upload to a temporary name.
- **REST and RANG** count bytes of the file. In TYPE A other bytes are sent, so an offset in TYPE A is refused (504), in whichever
  order TYPE, REST and the transfer come. REST works with RETR and STOR, RANG with RETR and HASH. Before other commands they are refused
  (503), since a client could take the part for the whole file.
- **NLST DIR** writes ` + "`DIR/`" + ` before each name, as the client wrote it, so that each line is a pathname that RETR takes
  (RFC 1123 §4.1.2.7). NLST without an argument, or of ` + "`.`" + `, gives bare names.
- **AUTH TLS-P and AUTH SSL** protect data connections without PROT, as in the drafts before RFC 4217 and in vsftpd and ProFTPD.
  After AUTH TLS, data connections are unprotected until PROT P. FEAT lists AUTH TLS only.
- **The end of an upload** in stream mode is the end of its data connection. Under TLS, close_notify proves that the file is
  whole, whatever the control connection does next. In the clear, a client that hangs up before the 226 may have been killed, so its
  upload counts as cut; so does an upload under TLS without close_notify. ` + "`--accept-upload`" + ` accepts such uploads, for all users or for one.
- **Devices** ([devices.md](devices.md)): for an account with ` + "`compat = \"device\"`" + `, STOR, APPE, STOU and MKD make missing directories, MKD of a directory
  that exists is 257, STOR of a name that may not be replaced stores under a numbered name, which 150 and 226 tell (RNTO: 250), uploads with doubtful ends
  are complete, and CWD needs no argument.
- **A half-closed control connection**: if a client closes its side of the connection, the commands that came before are carried out and
  answered, then the session ends. A running transfer is aborted, unless QUIT came too, it is a download or listing behind which
  more commands wait, or it is an upload that may be complete. A login may take 5 s from then on.
- **Times and modes** (MFMT, MDTM with a time, MFF, SITE UTIME, SITE CHMOD) are read back after they were set. If the storage did not keep
  them, the change is undone and refused (504). MFF sets all facts or none. Times before 1678 and after 2262 are refused (501).
- **SITE CHMOD and MFF** can't remove the owner's rights from a directory that is the root or the home of a user (550), because
  that user could no longer log in, and no FTP command could undo it. Any other file or directory may get any mode.
- **SITE UMASK** removes permission bits from the files and directories that the session creates, in addition to the umask of the account and the server's own; it can't remove bits from those.
- **SITE QUOTA** shows the quota of the account (bytes and files) and what is used of it. **ALLO** and **AVBL** take the quota into account. If the account has
  [mounts](mounts.md), all three answer for the working directory or the given one.
- **RNTO** to another storage of the account is refused (553) before anything changes.
- **SITE IDLE** accepts times up to ` + "`--idle-timeout`" + `. The time counts from the last complete command line.
- **Paths** have at most 4096 bytes and 256 levels (553).
- **An entry whose attributes can't be read**, such as a mount point whose server is gone, is listed nevertheless: MLSD leaves out its
  facts, LIST shows no rights, and NLST never needs them.
- **Lines** may end in CR LF, LF or CR CR LF.
- **Required TLS session reuse** (` + "`--tls-session-reuse require`" + `) requires TLS 1.3 or session tickets. The server does not
  keep session IDs of TLS 1.2, so a client that supports nothing else gets 522.
`

func protocolDoc() []byte {
	var b bytes.Buffer
	b.WriteString(`# The commands of the server

For people who want to know which FTP commands this server supports, and what it does where the RFCs leave a choice. The table is made
from the one in ftp/server by ` + "`make golden`" + `.

A command is judged in this order: is it known (500)? is the user logged in (530)? does its argument parse (501)? may
the account do it (550)? Then it is carried out, or refused because it is out of sequence (503).

- *before login*: works before USER and PASS.
- *at once*: answered while a transfer runs. All others wait for its end, in order; ABOR stops it.
- *needs*: the permission that the account needs (` + "`server.Perm`" + `).

| command | argument | what it does | before login | at once | needs | RFC |
|---|---|---|---|---|---|---|
`)
	for _, v := range server.Verbs() {
		name := v.Name
		for _, a := range v.Aliases {
			name += ", " + a
		}
		cell := func(yes bool) string {
			if yes {
				return "yes"
			}
			return ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, code(v.Syntax), v.Help, cell(v.Before), cell(v.Now), v.Perm, v.RFC)
	}
	b.WriteString(differences)
	return b.Bytes()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}
