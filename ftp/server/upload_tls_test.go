package server_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
)

// A client that only writes and then closes must lose nothing, whichever TLS library it uses: see dtp's
// secured.quiet. Each sender of these tests makes this many uploads with each version.
var tlsUploads = times(24, 100)

var uploadSizes = []int{0, 1, 16 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1<<20 + 1, 4 << 20}

// uploadContent returns a different content for each upload, in length or at every offset.
func uploadContent(i int) []byte { return noise()[i*4099:][:uploadSizes[i%len(uploadSizes)]] }

// uploader uploads the files of the desk's local directory, in one session or several.
type uploader struct {
	program string // "": none
	send    func(d *secureDesk, names []string)
}

// exact is a connection whose Read stops at the end of a TLS record, as OpenSSL and GnuTLS read. Package tls
// alone would also read tickets that follow, and they would do no harm then.
type exact struct {
	net.Conn
	head [5]byte // header of the current record
	got  int     // bytes of head
	left int     // bytes of the record still to be read
}

func (e *exact) Read(b []byte) (n int, err error) {
	if e.left > 0 {
		n, err = e.Conn.Read(b[:min(len(b), e.left)])
		e.left -= n
		return n, err
	}
	n, err = e.Conn.Read(b[:min(len(b), len(e.head)-e.got)])
	e.got += copy(e.head[e.got:], b[:n])
	if e.got == len(e.head) {
		e.got, e.left = 0, int(e.head[3])<<8|int(e.head[4])
	}
	return n, err
}

// goUploads writes and closes, and reads nothing but the handshake. Every second data connection does not
// resume.
func goUploads(d *secureDesk, names []string) {
	version := map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}[d.s.version]
	config := func() *tls.Config {
		return &tls.Config{RootCAs: d.s.certs.CA, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(4), MinVersion: version, MaxVersion: version}
	}
	c := d.connect(d.t).secure(config()).private("rw")
	for i, name := range names {
		open := c.opening([]string{"EPSV", "EPRT", "PASV", "PORT"}[i/2%4])
		c.send("STOR " + d.path(name))
		raw := open()
		c.want(150)
		cfg := c.cfg
		if i%2 == 1 {
			cfg = config()
		}
		data := tls.Client(&exact{Conn: raw}, cfg)
		check(d.t, data.Handshake())
		_, err := data.Write(uploadContent(i))
		check(d.t, err)
		check(d.t, data.Close())
		c.want(226)
		if got, want := data.ConnectionState().DidResume, i%2 == 0; got != want {
			d.t.Errorf("%s: resumed is %v", name, got)
		}
	}
}

// openSSLWrites does the least that OpenSSL needs to upload: a handshake, the bytes, close_notify. Then it
// closes the socket with whatever is in it.
const openSSLWrites = `
import ftplib, ssl, sys
host, port, ca, there = sys.argv[1:5]
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=50)
f.connect(host, int(port))
f.login("rw", "rw")
f.prot_p()
f.voidcmd("TYPE I")

def exactly(n):
    b = b""
    while len(b) < n:
        more = raw.recv(n - len(b))
        if not more:
            raise EOFError
        b += more
    return b

for i, name in enumerate(sys.argv[5:]):
    raw, _ = ftplib.FTP.ntransfercmd(f, "STOR " + there + name)
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = f.context.wrap_bio(came, goes, server_hostname=host, session=f.sock.session if i % 2 else None)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.sendall(goes.read())
            head = exactly(5)
            came.write(head + exactly(head[3] << 8 | head[4]))
    with open(name, "rb") as src:
        while data := src.read(100000):
            tls.write(data)
            raw.sendall(goes.read())
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass # the close_notify of the server
    raw.sendall(goes.read())
    raw.close()
    f.voidresp()
f.quit()
`

func openSSLUploads(d *secureDesk, names []string) {
	d.do(d.program, "", append([]string{"-c", openSSLWrites, d.host, d.port, d.s.certs.CAFile, d.path("")}, names...)...)
}

// ftplibUploads resumes in one of two sessions.
func ftplibUploads(d *secureDesk, names []string) {
	half := len(names) / 2
	for i, names := range [][]string{names[:half], names[half:]} {
		var steps []step
		for _, name := range names {
			steps = append(steps, step{"put", name, d.path(name)})
		}
		ftplibTLS(i == 1).run(d, steps...)
	}
}

func curlUploads(d *secureDesk, names []string) {
	args := []string{"-q", "-sS", "--ssl-reqd", "--cacert", d.s.certs.CAFile, "-u", "rw:rw", "--parallel", "--parallel-max", "4"}
	for _, name := range names {
		args = append(args, "-T", name, d.secureURL(d.path("")))
	}
	d.do(d.program, "", args...)
}

// lftpUploads uploads one half of the files, and mirrors the rest.
func lftpUploads(d *secureDesk, names []string) {
	d.do(d.program, "", lftpTLSArgs(d, "mput -O "+d.path("")+" "+strings.Join(names[:len(names)/2], " "),
		"mirror -R -P 3 -x ^\\. . "+d.path(""))...)
}

func TestTLSUploadsLoseNoByte(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	here := t.TempDir()
	var names []string
	for i := range tlsUploads {
		names = append(names, fmt.Sprintf("upload%03d", i))
		check(t, os.WriteFile(filepath.Join(here, names[i]), uploadContent(i), 0o644))
	}
	senders := map[string]uploader{
		"Go": {"", goUploads}, "OpenSSL": {"python3", openSSLUploads}, "OpenSSL, ftplib": {"python3", ftplibUploads},
		"OpenSSL, curl": {"curl", curlUploads}, "GnuTLS, lftp": {"lftp", lftpUploads},
	}
	eachVersion(t, func(t *testing.T, version uint16) {
		s := newSecureStock(t, version, dtp.ReusePrefer)
		for name, up := range senders {
			program := ""
			if up.program != "" {
				program = peers.Client(t, up.program)
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := s.open(t, program, false, false)
				d.here = here
				up.send(d, names)
				for i, name := range names {
					if got, err := os.ReadFile(d.far(name)); err != nil || !bytes.Equal(got, uploadContent(i)) {
						t.Errorf("%s: %d of %d bytes arrived: %v", name, len(got), len(uploadContent(i)), err)
					}
					check(t, os.Remove(d.far(name)))
				}
				if left := hostTree(t, d.far("")); len(left) != 1 {
					t.Errorf("there are other files: %q", left)
				}
			})
		}
		t.Cleanup(func() {
			if got, want := s.uploads(), len(senders)*tlsUploads; got != want {
				t.Errorf("the server has reported %d whole uploads, want %d", got, want)
			}
		})
	})
}

// ftplibCut uploads with OpenSSL and ends the connection without close_notify, as anyone on the network path
// could: by FIN, by a reset, or by FIN in one direction only.
const ftplibCut = `
import ftplib, socket, ssl, struct, sys
host, port, ca, path = sys.argv[1:]
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=50)
f.connect(host, int(port))
f.login("rw", "rw")
f.prot_p()
f.voidcmd("TYPE I")
for active in (False, True):
    f.set_pasv(not active)
    for how in ("close", "shutdown", "reset"):
        for size in (0, 1, 16384, 65536, 1 << 20):
            conn = f.transfercmd("STOR " + path)
            conn.sendall(b"x" * size)
            if how == "shutdown":
                socket.socket.shutdown(conn, socket.SHUT_WR)
            elif how == "reset":
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if how != "shutdown":
                conn.close()
            got = f.getmultiline()
            conn.close()
            assert got.startswith("426"), (how, size, active, got)
f.storbinary("STOR " + path + "2", open("whole", "rb"))
f.quit()
`

// Without close_notify an upload is not whole: the reply is 426, and the old file stays.
func TestTLSUploadWithoutCloseNotify(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		s := newSecureStock(t, version, dtp.ReusePrefer)
		for _, there := range []bool{false, true} {
			d := s.open(t, peers.Client(t, "python3"), false, false)
			if there {
				d.file(d.far("made"), []byte("what was there"))
			}
			d.file(d.local("whole"), []byte("whole"))
			d.do(d.program, "", "-c", ftplibCut, d.host, d.port, s.certs.CAFile, d.path("made"))
			if there {
				d.holds("what was there", d.far("made"), []byte("what was there"))
			} else {
				d.gone("made")
			}
			d.holds("the next upload", d.far("made2"), []byte("whole"))
		}
	})
}
