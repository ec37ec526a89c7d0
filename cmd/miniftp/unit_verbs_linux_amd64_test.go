package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// confinedServer starts a server under the restrictions of the unit, with most of what it can do, and returns the path of
// its socket. Files of clients are in in/root.
func confinedServer(t *testing.T, in string) (p *verbtest.Process, socket string) {
	t.Helper()
	for _, name := range []string{"root", "logs", "run"} {
		name = filepath.Join(in, name)
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(name, 12345, 12346); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(in, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := theirs(t, filepath.Join(in, "m.toml"), `
root = "root"
anonymous = "rw"
listen = ["127.0.0.1:0"]
fxp = ["alice"]
data-any-host = true
mode-z = true
sync = "full"
[tls]
self-signed = true
ccc = true
[log]
file = "logs/log"
xferlog = "logs/xferlog"
[users.alice]
password = "secret"
quota = "1G"
`)
	socket = filepath.Join(in, "run", "control")
	cmd := confinedBy(t, "miniftp.service", in).command(t, "serve", "--config", config, "--control", socket, "--verbose")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+filepath.Join(in, "no-such-socket"), "WATCHDOG_USEC=200000")
	p = verbtest.Start(t, cmd)
	p.Await("Ctrl-C stops.")
	return p, socket
}

// theirs writes a file that belongs to the user of the tests, and returns its name.
func theirs(t *testing.T, name, text string) string {
	t.Helper()
	verbtest.WriteFile(t, name, text)
	if err := os.Chown(name, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	return name
}

// lines is a control connection.
type lines struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	sent map[string]bool // the verbs
	tls  *tls.Config     // of data connections, nil in the clear

	blocks bool // MODE B, in which the server does not close the data connection
}

// cmd sends a command and returns the first line of the reply, which must begin with one of the digits.
func (l *lines) cmd(line, digits string) string {
	l.t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	if verb == "SITE" {
		sub, _, _ := strings.Cut(rest, " ")
		l.sent["SITE "+sub] = true
	}
	l.sent[verb] = true
	if _, err := fmt.Fprintf(l.conn, "%s\r\n", line); err != nil {
		l.t.Fatalf("%s: %v", line, err)
	}
	return l.reply(line, digits)
}

// reply reads a reply and returns all of its lines.
func (l *lines) reply(to, digits string) string {
	l.t.Helper()
	_ = l.conn.SetDeadline(time.Now().Add(20 * time.Second))
	all := ""
	for {
		line, err := l.in.ReadString('\n')
		if err != nil {
			l.t.Fatalf("%s: %v after %q", to, err, all)
		}
		all += line
		if len(line) > 3 && line[3] == ' ' && line[0] >= '1' && line[0] <= '5' {
			break
		}
	}
	if !strings.Contains(digits, all[:1]) {
		l.t.Errorf("%s: %s", to, all)
	}
	return all
}

// transfer makes a transfer: it sends text, or reads what comes if text is "".
func (l *lines) transfer(line, text string) string {
	l.t.Helper()
	port := regexp.MustCompile(`\|\|\|(\d+)\|`).FindStringSubmatch(l.cmd("EPSV", "2"))
	if port == nil {
		l.t.Fatal("no port")
	}
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port[1], 20*time.Second)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.over(conn, line, text)
}

// over makes a transfer over a data connection.
func (l *lines) over(conn net.Conn, line, text string) string {
	l.t.Helper()
	defer conn.Close()
	l.cmd(line, "1")
	if l.tls != nil {
		conn = tls.Client(conn, l.tls)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	got := ""
	if l.blocks {
		for header := make([]byte, 3); header[0]&64 == 0; {
			if _, err := io.ReadFull(conn, header); err != nil {
				l.t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, conn, int64(header[1])<<8|int64(header[2])); err != nil {
				l.t.Fatal(err)
			}
		}
	} else if text != "" {
		if _, err := io.WriteString(conn, text); err != nil {
			l.t.Errorf("%s: %v", line, err)
		}
	} else if b, err := io.ReadAll(conn); err != nil {
		l.t.Errorf("%s: %v", line, err)
	} else {
		got = string(b)
	}
	_ = conn.Close()
	l.reply(line, "2")
	return got
}

// active makes a transfer for which the server dials.
func (l *lines) active(line, command, text string) string {
	l.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	l.cmd(strings.NewReplacer("HOST", "127,0,0,1", "HI,LO", fmt.Sprintf("%d,%d", port/256, port%256), "PORT_", fmt.Sprint(port)).Replace(line), "2")
	accepted := make(chan net.Conn, 1)
	go func() {
		_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
		conn, _ := ln.Accept()
		accepted <- conn
	}()
	l.cmd(command, "1")
	conn := <-accepted
	if conn == nil {
		l.t.Fatal("the server did not dial")
	}
	b, err := io.ReadAll(conn)
	_ = conn.Close()
	if err != nil {
		l.t.Error(err)
	}
	l.reply(command, "2")
	return string(b)
}

// TestUnitCommands: a server under the restrictions of the unit carries out each of its commands. A system call that the unit does
// not allow would kill it.
func TestUnitCommands(t *testing.T) {
	t.Parallel()
	in := filepath.Join(openDirectory(t), "in")
	p, _ := confinedServer(t, in)
	sent := map[string]bool{}
	open := func(secured bool) *lines {
		conn, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		l := &lines{t: t, conn: conn, in: bufio.NewReader(conn), sent: sent}
		l.reply("greeting", "2")
		if secured {
			l.cmd("AUTH TLS", "2")
			config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1), ServerName: "localhost"}
			l.tls, l.conn = config, tls.Client(conn, config)
			l.in = bufio.NewReader(l.conn)
			l.cmd("PBSZ 0", "2")
			l.cmd("PROT P", "2")
		}
		l.cmd("HOST example.org", "2")
		l.cmd("USER alice", "3")
		l.cmd("PASS secret", "2")
		l.cmd("TYPE I", "2")
		return l
	}
	l := open(false)
	for _, one := range []struct{ line, digits string }{
		{"ACCT x", "25"},
		{"SYST", "2"},
		{"FEAT", "2"},
		{"HELP STOR", "2"},
		{"NOOP", "2"},
		{"CLNT test", "2"},
		{"CSID Name=x;", "2"},
		{"LANG EN", "2"},
		{"OPTS UTF8 ON", "2"},
		{"OPTS MLST type;size;modify;perm;unique;", "2"},
		{"TYPE I", "2"},
		{"STRU F", "2"},
		{"PWD", "2"},
		{"MKD d", "2"},
		{"CWD d", "2"},
		{"CDUP", "2"},
		{"ALLO 100", "2"},
		{"AVBL", "2"},
		{"SITE HELP", "2"},
		{"SITE QUOTA", "2"},
		{"SITE IDLE", "2"},
		{"SITE UMASK 022", "2"},
		{"STAT", "2"},
	} {
		l.cmd(one.line, one.digits)
	}
	text := strings.Repeat("some text\n", 1000)
	l.transfer("STOR f", text)
	l.transfer("STOR f", text) // replaces it
	if got := l.transfer("RETR f", ""); got != text {
		t.Errorf("RETR: %d bytes", len(got))
	}
	l.transfer("APPE f", "more")
	l.transfer("STOU", "unique")
	l.cmd("REST 10000", "3")
	if got := l.transfer("RETR f", ""); got != "more" {
		t.Errorf("RETR after REST: %q", got)
	}
	l.cmd("RANG 0 3", "3")
	if got := l.transfer("RETR f", ""); got != "some" {
		t.Errorf("RETR after RANG: %q", got)
	}
	for _, one := range []string{"LIST", "NLST", "MLSD"} {
		if got := l.transfer(one, ""); !strings.Contains(got, "f") {
			t.Errorf("%s: %q", one, got)
		}
	}
	for _, one := range [][2]string{{"PORT HOST,HI,LO", "RETR f"}, {"EPRT |1|127.0.0.1|PORT_|", "LIST"}} {
		if got := l.active(one[0], one[1], ""); got == "" {
			t.Errorf("%s: nothing came", one[0])
		}
	}
	l.cmd("TYPE A", "2")
	l.transfer("RETR f", "")
	l.cmd("TYPE I", "2")
	l.cmd("MODE Z", "2")
	l.transfer("RETR f", "")
	l.cmd("MODE B", "2")
	l.blocks = true
	l.transfer("RETR f", "")
	l.blocks = false
	l.cmd("MODE S", "2")
	for _, one := range []struct{ line, digits string }{
		{"MLST f", "2"},
		{"STAT f", "2"},
		{"SIZE f", "2"},
		{"MDTM f", "2"},
		{"MFMT 20200102030405 f", "2"},
		{"MDTM 20200102030406 f", "2"},
		{"MFF Modify=20200102030407;UNIX.mode=0640; f", "2"},
		{"HASH f", "2"},
		{"XSHA256 f", "2"},
		{"XSHA512 f", "2"},
		{"XSHA1 f", "2"},
		{"XMD5 f", "2"},
		{"XCRC f", "2"},
		{"OPTS HASH SHA-512", "2"},
		{"HASH f", "2"},
		{"SITE CHMOD 600 f", "2"},
		{"SITE CHMOD 4755 f", "5"},
		{"SITE UTIME 20200102030405 f", "2"},
		{"SITE SYMLINK f link", "2"},
		{"RNFR f", "3"},
		{"RNTO d/g", "2"},
		{"DELE d/g", "2"},
		{"RMD d", "2"},
		{"PASV", "2"},
		{"ABOR", "2"},
		{"REIN", "2"},
		{"QUIT", "2"},
	} {
		l.cmd(one.line, one.digits)
	}
	l = open(true)
	l.transfer("STOR secret", text)
	if got := l.transfer("RETR secret", ""); got != text {
		t.Errorf("RETR with TLS: %d bytes", len(got))
	}
	l.cmd("SSCN ON", "2")
	l.cmd("SSCN OFF", "2")
	l.cmd("CPSV", "2")
	help := l.cmd("HELP", "2") + l.cmd("SITE HELP", "2")
	l.cmd("CCC", "2")
	for _, name := range regexp.MustCompile(`\b(SITE [A-Z]+|[A-Z][A-Z0-9]{2,6})\b`).FindAllString(strings.ReplaceAll(help, "-I know:", ""), -1) {
		if !sent[name] {
			t.Errorf("the test does not send %s", name)
		}
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	log := ""
	for limit := time.Now().Add(20 * time.Second); !strings.Contains(log, "reloaded") && time.Now().Before(limit); {
		time.Sleep(10 * time.Millisecond)
		b, err := os.ReadFile(filepath.Join(in, "logs", "log"))
		if err != nil {
			t.Fatal(err)
		}
		log = string(b)
	}
	if !strings.Contains(log, "reloaded") || strings.Contains(log, "not reloaded") {
		t.Errorf("after SIGHUP: %s", log)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d, %v", code, p.Cmd.ProcessState)
	}
}

// TestUnitVerbs: each verb works under the restrictions of the unit, with a server that has them, too.
func TestUnitVerbs(t *testing.T) {
	t.Parallel()
	in := filepath.Join(openDirectory(t), "in")
	p, socket := confinedServer(t, in)
	c := confinedBy(t, "miniftp.service", in)
	work := filepath.Join(in, "work")
	if err := os.Mkdir(work, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(work, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	theirs(t, filepath.Join(work, "f"), strings.Repeat("some text\n", 10_000))
	url := "ftp://alice:secret@" + p.Addr + "/"
	ran := map[string]bool{"serve": true}
	run := func(code int, args ...string) {
		t.Helper()
		ran[args[0]] = true
		cmd := c.command(t, args...)
		cmd.Dir = work
		cmd.Stdin = strings.NewReader("pwd\nls\n")
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("miniftp %s: exit %d, %v:\n%s", strings.Join(args, " "), got, err, out)
		}
	}
	run(0, "put", "f", url+"f")
	run(0, "put", "-r", ".", url+"tree/")
	run(0, "put", "--tls", "--insecure", "f", url+"g")
	run(0, "get", url+"f", "got")
	run(0, "get", "--active", "--tls", "--insecure", url+"g")
	run(0, "get", "-r", "-j", "2", url+"tree", "copy")
	run(0, "ls", "-l", url)
	run(0, "cat", url+"f")
	run(0, "stat", url+"f")
	run(0, "hash", url+"f")
	run(0, "chmod", "600", url+"f")
	run(0, "mkdir", "-p", url+"a/b")
	run(0, "mv", url+"f", "a/b/f")
	run(0, "copy", url+"a/b/f", url+"copied")
	run(0, "mirror", url+"tree", "mirrored")
	run(0, "mirror", "--delete", "mirrored", url+"back")
	run(0, "rm", "-r", url+"a")
	run(0, "shell", url)
	run(0, "shell", "-c", "ls; cat g", url)
	run(0, "doctor", url)
	run(0, "doctor", "./")
	run(0, "bench", "--time", "50ms", "--size", "1M", url)
	run(0, "demo")
	run(0, "man")
	run(0, "completion", "bash")
	run(0, "passwd", "--file", "users", "bob")
	run(0, "config", "check", "../m.toml")
	run(0, "config", "show", "--config", "../m.toml")
	run(0, "who", "--socket", socket)
	run(0, "top", "--socket", socket)
	run(0, "ban", "add", "--socket", socket, "192.0.2.7")
	run(0, "ban", "list", "--socket", socket)
	run(0, "events", "--socket", socket)
	run(5, "kick", "--socket", socket, "--user", "nobody")
	run(0, "reload", "--socket", socket)
	run(0, "drain", "--socket", socket)
	if code := p.Ends(); code != 0 {
		t.Errorf("the server: exit %d, %v", code, p.Cmd.ProcessState)
	}
	for _, v := range flags.NewApp(&verb.Env{Verbs: verbs, Stdio: verb.Stdio{Out: io.Discard, Err: io.Discard}, Ctx: t.Context()}).Commands {
		if !ran[v.Name] && v.Name != "help" {
			t.Errorf("the test does not run %s", v.Name)
		}
	}
}
