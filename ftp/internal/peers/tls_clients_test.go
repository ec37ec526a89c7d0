package peers

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Stock clients download from and upload to each server in each mode of TLS.
func TestTLSWithStockClients(t *testing.T) {
	t.Parallel()
	content := make([]byte, 1<<20+1)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	eachTLS(t, bothVersions, func(t *testing.T, name string, opts Options) {
		root := t.TempDir()
		put(t, filepath.Join(root, "there"), string(content))
		s := Start(t, name, root, opts)
		// With TLS 1.3, these servers send tickets on data connections for uploads. curl 7.88 and
		// lftp 4.9 do not read them, so their close may become a reset, which discards data that
		// is still on its way. Python's ftplib reads them.
		tickets := opts.TLSVersion == tls.VersionTLS13 && (name == "vsftpd" || name == "pyftpdlib")
		lftp(t, s, opts, content, !tickets)
		// curl 7.88 sends its ClientHello before RETR or STOR. pyftpdlib mistakes a data
		// connection with such early data for a closed one.
		if name != "pyftpdlib" {
			curl(t, s, opts, content, !tickets)
		}
		if got := runTransfer(t, s, opts, "STOR made", true, true); got != "226" {
			t.Errorf("ftplib: %s", got)
		}
		same(t, filepath.Join(root, "made"), bytes.Repeat([]byte("x"), 1<<20))
	})
}

// curl downloads a file, which must have the given content, and uploads the content.
func curl(t *testing.T, s *Server, opts Options, content []byte, upload bool) {
	t.Helper()
	url := "ftp://" + s.Addr + "/"
	if opts.TLS == Implicit {
		url = "ftps://" + s.Addr + "/"
	}
	common := []string{"-sS", "-m", "20", "--ssl-reqd", "--cacert", s.Certs.CAFile, "-u", s.User + ":" + s.Password}
	here := t.TempDir()
	do(t, here, "curl", append(common, "-o", "got", url+"there")...)
	same(t, filepath.Join(here, "got"), content)
	if upload {
		put(t, filepath.Join(here, "made"), string(content))
		do(t, here, "curl", append(common, "-T", "made", url)...)
		uploaded(t, s, content)
	}
}

// lftp does the same with lftp.
func lftp(t *testing.T, s *Server, opts Options, content []byte, upload bool) {
	t.Helper()
	scheme := "ftp"
	if opts.TLS == Implicit {
		scheme = "ftps"
	}
	script := []string{
		"set cmd:fail-exit yes", "set net:max-retries 1", "set net:timeout 20",
		"set ssl:ca-file " + s.Certs.CAFile, "set ssl:verify-certificate yes",
		"set ftp:ssl-force yes", "set ftp:ssl-protect-data yes",
		fmt.Sprintf("open -u %s,%s %s://%s", s.User, s.Password, scheme, s.Addr),
		"get there -o got",
	}
	here := t.TempDir()
	if upload {
		put(t, filepath.Join(here, "made"), string(content))
		script = append(script, "put made")
	}
	do(t, here, "lftp", "--norc", "-c", strings.Join(script, "; "))
	same(t, filepath.Join(here, "got"), content)
	if upload {
		uploaded(t, s, content)
	}
}

// uploaded checks the uploaded file and removes it.
func uploaded(t *testing.T, s *Server, content []byte) {
	t.Helper()
	made := filepath.Join(s.Root, "made")
	same(t, made, content)
	if err := os.Remove(made); err != nil {
		t.Error(err)
	}
}

// do runs a client with here as its working directory.
func do(t *testing.T, here, client string, args ...string) {
	t.Helper()
	cmd := exec.Command(Client(t, client), args...)
	cmd.Dir = here
	cmd.Env = append(os.Environ(), "HOME="+here)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", client, err, out)
	}
}

func same(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes (%v), want the same %d", name, len(got), err, len(want))
	}
}

// transfer is a Python program that does RETR or STOR with TLS. Arguments choose whether the data
// connection resumes the session of the control connection, and whether it ends with close_notify.
// The program prints the code of the final reply.
const transfer = `
import ftplib, socket, ssl, sys
host, port, user, password, ca, implicit, verb, resume, notify = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)

class Client(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        session = self.sock.session if resume == "true" else None
        return self.context.wrap_socket(conn, server_hostname=host, session=session), size

f = Client(context=context, timeout=20)
if implicit == "true":
    f.host, f.port = host, int(port)
    raw = socket.create_connection((host, port), 20)
    f.af = raw.family
    f.sock = context.wrap_socket(raw, server_hostname=host)
    f.file = f.sock.makefile("r", encoding="utf-8")
    f.getresp()
else:
    f.connect(host, int(port))
f.login(user, password)
f.prot_p()
f.voidcmd("TYPE I")
try:
    conn = f.transfercmd(verb)
    if verb.startswith("RETR"):
        while conn.recv(4096):
            pass
    else:
        conn.sendall(b"x" * (1 << 20))
    if notify == "true":
        conn.unwrap()
    conn.close()
except OSError:
    pass # refused: the reply says why
print(f.getmultiline()[:3])
`

func runTransfer(t *testing.T, s *Server, opts Options, verb string, resume, notify bool) string {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(Client(t, "python3"), "-c", transfer, host, port, s.User, s.Password, s.Certs.CAFile,
		fmt.Sprint(opts.TLS == Implicit), verb, fmt.Sprint(resume), fmt.Sprint(notify)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", verb, err, out)
	}
	return strings.TrimSpace(string(out))
}

// With RequireReuse, a server refuses a data connection that does not resume the TLS session.
// Without it, the server accepts one.
func TestRequireReuse(t *testing.T) {
	t.Parallel()
	refusal := map[string]string{"vsftpd": "522", "proftpd": "425"}
	eachTLS(t, bothVersions, func(t *testing.T, name string, opts Options) {
		root := t.TempDir()
		put(t, filepath.Join(root, "there"), "from the host\n")
		s := Start(t, name, root, opts)
		for _, resume := range []bool{true, false} {
			want := "226"
			if opts.RequireReuse && !resume {
				want = refusal[name]
			}
			if got := runTransfer(t, s, opts, "RETR there", resume, true); got != want {
				t.Errorf("resume %v: %s, want %s", resume, got, want)
			}
		}
	})
}

// With TLS, vsftpd refuses an upload that did not end with close_notify.
func TestStrictVsftpd(t *testing.T) {
	opts := Options{TLS: Explicit, TLSVersion: tls.VersionTLS12}
	s := Start(t, "vsftpd", t.TempDir(), opts)
	for notify, want := range map[bool]string{true: "226", false: "426"} {
		if got := runTransfer(t, s, opts, "STOR made", true, notify); got != want {
			t.Errorf("close_notify %v: %s, want %s", notify, got, want)
		}
	}
}
