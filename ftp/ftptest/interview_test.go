package ftptest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
)

// questions holds the commands of an interview, one on each line. tlsQuestions holds those with TLS.
const questions = `
SIZE plain.txt
SYST
FEAT
OPTS UTF8 ON
NOOP
CLNT test
ALLO 5
ACCT x
MODE B
STRU F
TYPE I
SITE FOO
MLST plain.txt
MFMT 20200203040506 plain.txt
MDTM 20200203040506 plain.txt
REST 5
PWD
CWD
ABOR
PASS first
FOO
USER {user}
PASS {password}
USER somebody
USER {user}
PASS {password}
SYST
FEAT
OPTS UTF8 ON
OPTS FOO
NOOP
CLNT test
ALLO 5
ACCT x
MODE S
MODE B
MODE Z
MODE S
STRU F
STRU R
TYPE A
SIZE plain.txt
TYPE X
TYPE I
HOST example.com
FOO
AUTH TLS
SITE FOO
PWD
CWD dir
PWD
CDUP
CWD missing
CWD plain.txt
MKD new
MKD new
MKD missing/x
MKD a"b
CWD a"b
PWD
CWD ..
RMD a"b
RMD new
RMD dir
RMD missing
RMD plain.txt
SIZE plain.txt
SIZE dir
SIZE missing
SIZE
MDTM plain.txt
MDTM dir
MDTM missing
MLST plain.txt
MLST dir
MLST missing
DELE missing
DELE dir
DELE
RNFR missing
RNTO x
RNFR plain.txt
RNTO moved.txt
RNFR moved.txt
RNTO missing/plain.txt
RNFR moved.txt
RNTO plain.txt
SITE CHMOD 600 plain.txt
SITE CHMOD 644 plain.txt
SITE CHMOD 600 missing
SITE CHMOD
MFMT 20200203040506 plain.txt
MFMT 20200203040506 missing
MDTM 20200203040506 plain.txt
HASH plain.txt
XCRC plain.txt
REST 5
RETR plain.txt
REST x
REST 0
EPSV
EPSV 1
PASV
PORT 1,2,3,4,5,6
EPRT |1|127.0.0.1|80|
EPRT |3|127.0.0.1|8000|
RETR plain.txt
RETR missing
RETR dir
LIST
LIST -a
LIST -l
LIST plain.txt
LIST dir
LIST empty
LIST missing
LIST a b.txt
NLST
NLST dir
NLST empty
NLST missing
MLSD
MLSD dir
MLSD empty
MLSD plain.txt
MLSD missing
STOR new.txt
STOR new.txt
STOR dir
STOR missing/new.txt
APPE new.txt
SIZE new.txt
DELE new.txt
STAT plain.txt
STAT missing
ABOR
OPTS MLST type;size;modify;
REIN
QUIT`

const tlsQuestions = `
FEAT
AUTH FOO
PBSZ 0
AUTH TLS
USER {user}
PASS {password}
AUTH TLS
PBSZ 0
PROT X
PROT P
TYPE I
RETR plain.txt
STOR new.txt
QUIT`

const readOnlyQuestions = `
USER {user}
PASS {password}
TYPE I
STOR new.txt
STOR plain.txt
APPE plain.txt
DELE plain.txt
MKD new
RMD empty
MFMT 20200203040506 plain.txt
SITE CHMOD 600 plain.txt
RETR plain.txt
QUIT`

const refusedQuestions = `
USER {user}
PASS wrong
NOOP
QUIT`

// interview sends the commands to a server and returns the commands and replies. The function alike
// replaces what depends on the time or the host.
//
// If trust is not nil, the control connection uses TLS after a 234, and data connections do after
// PROT P.
func interview(t *testing.T, questions, addr, user, password string, trust *x509.CertPool, alike func(string) string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	i := &interviewer{t: t, alike: alike, tls: &tls.Config{RootCAs: trust, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)}}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	i.conn, i.lines = conn, ftp.NewLineReader(conn, 1<<16)
	i.hear()
	fill := strings.NewReplacer("{user}", user, "{password}", password)
	for _, q := range strings.Split(strings.TrimSpace(questions), "\n") {
		i.ask(q, fill.Replace(q))
	}
	return i.said.String()
}

type interviewer struct {
	t     *testing.T
	conn  net.Conn
	lines *ftp.LineReader
	alike func(string) string
	said  strings.Builder

	tls     *tls.Config
	private bool // PROT P was accepted
}

func (i *interviewer) ask(shown, cmd string) {
	verb, _, _ := strings.Cut(cmd, " ")
	var data net.Conn
	if ftp.IsTransfer(verb) {
		data = i.open()
		defer data.Close()
	}
	fmt.Fprintf(&i.said, "C: %s\n", shown)
	_, _ = fmt.Fprintf(i.conn, "%s\r\n", cmd)
	r := i.hear()
	switch {
	case strings.HasPrefix(r, "234"):
		secure := tls.Client(i.conn, i.tls)
		i.conn, i.lines = secure, ftp.NewLineReader(secure, 1<<16)
	case cmd == "PROT P":
		i.private = true
	}
	if r[0] != '1' {
		return
	}
	if i.private {
		data = tls.Client(data, i.tls)
	}
	if data == nil {
		i.t.Fatalf("%s begins a transfer", cmd)
	}
	switch verb {
	case "STOR", "APPE":
		_, _ = io.WriteString(data, "uploaded\n")
		if secure, ok := data.(*tls.Conn); ok {
			_ = secure.CloseWrite()
			_ = secure.SetReadDeadline(time.Now().Add(10 * time.Second)) // to read session tickets: a close with unread data would be a reset
			_, _ = io.Copy(io.Discard, secure)
		}
		_ = data.Close()
	default:
		_ = data.SetDeadline(time.Now().Add(10 * time.Second))
		b, err := io.ReadAll(data)
		if err != nil {
			i.t.Fatalf("%s: %v, after\n%s", cmd, err, i.said.String())
		}
		_ = data.Close()                                        // proftpd waits for that
		lines := strings.SplitAfter(i.alike(string(b)), "\r\n") // servers list in the order of the disk
		slices.Sort(lines)
		i.note("D", strings.Join(lines, ""))
	}
	i.hear()
}

func (i *interviewer) note(who, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(&i.said, "%s: %s\n", who, strings.TrimRight(line, "\r\n"))
	}
}

func (i *interviewer) hear() string {
	i.t.Helper()
	for said := ""; ; {
		line, err := i.lines.ReadLine()
		if err != nil {
			i.t.Fatalf("%v, after\n%s", err, i.said.String())
		}
		said += string(line) + "\n"
		if len(line) > 3 && line[3] == ' ' && string(line[:3]) == said[:3] {
			i.note("S", i.alike(said))
			return said
		}
	}
}

// open opens a data connection. Its commands and replies are not recorded.
func (i *interviewer) open() net.Conn {
	i.t.Helper()
	_, _ = io.WriteString(i.conn, "EPSV\r\n")
	r, err := ftp.ReadReply(i.lines)
	if err != nil {
		i.t.Fatal(err)
	}
	port, err := ftp.Parse229(r.Last())
	if err != nil {
		i.t.Fatalf("%v: %v, after\n%s", r, err, i.said.String())
	}
	conn, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	if err != nil {
		i.t.Fatal(err)
	}
	return conn
}

// lay creates the files for an interview below root.
func lay(t *testing.T, root string) {
	t.Helper()
	for name, text := range map[string]string{
		"plain.txt": "hello, world\n", "a b.txt": "blank", "two  blanks": "x", ".hidden": "dot", "dir/in.txt": "in",
	} {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Chtimes(name, at, at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// alike returns a function that replaces the parts of a reply that depend on the time or the host.
func alike(root string) func(string) string {
	change := func(pattern, to string) func(string) string {
		re := regexp.MustCompile(pattern)
		return func(s string) string { return re.ReplaceAllString(s, to) }
	}
	changes := []func(string) string{
		change(`150 File status okay. About to open data connection.`, "125 Data connection already open. Transfer starting."),
		strings.NewReplacer(`"`+root+`"`, `"/"`, root, "").Replace,
		change(`127\.0\.0\.1`, "{host}"),
		change(`\b\d+\.\d+\.\d+\b`, "{version}"),
		change(`\(\|\|\|\d+\|\)`, "(|||{port}|)"),
		change(`127,0,0,1,\d+,\d+`, "{addr}"),
		change(`(?m)^( ?[-dl][-rwxsStT]{9} +\d+ )\S+ +\S+ +(\d+ )`, "${1}owner group ${2}"),
		change(`(?m) \w{3} [ \d]\d (\d\d:\d\d| \d{4}) (\.\.?\r?)$`, " {now} $2"),
		change(`(?m)^[-dl]\S{9}( .* \.\.\r?)$`, "{mode}$1"),
		change(`unique=\w+`, "unique={id}"),
		change(`(?i)(unix\.(?:uid|gid|owner|group|ownername|groupname))=\w+`, "$1={id}"),
		change(`modify=20(?:2[1-9]|[3-9]\d)\d+`, "modify={now}"),
		change(`uploaded \d+ and downloaded \d+ kbytes`, "uploaded {n} and downloaded {n} kbytes"),
		change(`user number \d+`, "user number {n}"),
		change(`now \d\d:\d\d\. Server port: \d+`, "now {clock}. Server port: {port}"),
		change(`\d+\.\d+ seconds \(measured here\), \d+\.\d+ .?bytes`, "{n} seconds (measured here), {n} Kbytes"),
	}
	return func(s string) string {
		for _, c := range changes {
			s = c(s)
		}
		return s
	}
}
