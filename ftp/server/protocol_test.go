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

- **X-MINIFTP** in FEAT names this server, whatever its greeting says. It promises that commands that come in one write are
  answered in their turn, and that LIST -a names partial uploads, which other listings hide.
- **REST and RANG** count bytes of the file. In TYPE A other bytes are sent, so an offset is refused there (504), by
  whichever command completes the combination. REST works with RETR and STOR, RANG with RETR and HASH; with others they are refused
  (503), as a tail would be stored as a whole file.
- **NLST DIR** writes ` + "`DIR/`" + ` before each name, as the client wrote it, so that each line is a pathname that RETR takes
  (RFC 1123 §4.1.2.7). NLST without an argument, and of ` + "`.`" + `, gives bare names.
- **AUTH TLS-P and AUTH SSL** protect data connections without PROT, as in the drafts before RFC 4217 and in vsftpd and ProFTPD.
  Behind AUTH TLS they are clear until PROT P. FEAT lists AUTH TLS only.
- **The end of an upload** in stream mode is the end of its data connection. Under TLS, close_notify proves that the file is
  whole, whatever the control connection does next. In the clear, a client that hangs up before the 226 may have been killed, so its
  upload counts as cut; so does an upload under TLS without close_notify. ` + "`--accept-upload`" + ` changes either, for all users or for one.
- **A half-closed control connection**: the commands that came before are carried out and answered, then the session ends. Only a
  transfer that runs is aborted, unless QUIT came, too; a login takes 5 s at most from then on.
- **Times and modes** (MFMT, MDTM with a time, MFF, SITE UTIME, SITE CHMOD) are read back: what the storage does not hold is
  undone and refused (504), and MFF sets all facts or none. Times before 1678 and after 2262 are refused (501).
- **SITE CHMOD and MFF** do not take rights of its owner away from a directory that is the root or the home of any user (550):
  no user could log in there, and no FTP command could undo it. Any other file or directory may get any mode.
- **SITE UMASK** takes bits away from what the session creates, beside those of the server's own umask.
- **SITE IDLE** takes times up to ` + "`--idle-timeout`" + `. The time counts from the last whole command line.
- **Paths** have at most 4096 bytes and 256 levels (553).
- **An entry that can't be looked at**, such as a mount point whose server is gone, is listed all the same: MLSD leaves its facts
  out, LIST shows no rights, and NLST never looks.
- **Lines** may end in CR LF, LF or CR CR LF.
- **Required TLS session reuse** (` + "`--tls-session-reuse require`" + `) means session tickets, or TLS 1.3: the session IDs of TLS 1.2 are
  not kept here, and a client that knows nothing else gets 522.
`

func protocolDoc() []byte {
	var b bytes.Buffer
	b.WriteString(`# The commands of the server

Made from the command table in ftp/server by ` + "`make golden`" + `; a test keeps it current.

A command is judged in this order: is it known (500)? is the user logged in (530)? does its argument parse (501)? may
the account do it (550)? Then its row runs, and says itself what is out of sequence (503).

- *before login*: works before USER and PASS.
- *at once*: is answered while a transfer runs. All others wait for its end, in order; ABOR stops it.
- *needs*: what the account must be allowed (` + "`server.Perm`" + `).

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
