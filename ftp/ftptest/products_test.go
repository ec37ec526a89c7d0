package ftptest_test

import (
	"crypto/x509"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/server"
)

var update = flag.Bool("update", false, "record the interviews of the installed servers anew")

// products holds the Products that can be compared with the real servers.
var products = []struct {
	name string // the name in package peers
	as   ftptest.Product
}{
	{"vsftpd", ftptest.VSFTPD()},
	{"proftpd", ftptest.ProFTPD()},
	{"pure-ftpd", ftptest.PureFTPd()},
	{"pyftpdlib", ftptest.Pyftpdlib()},
}

func transcript(name string) string { return filepath.Join("testdata", "products", name+".txt") }

// interviewOf is an interview with a server that runs with these options.
type interviewOf struct {
	name, questions string
	peers           peers.Options
}

// interviews holds the interviews that are recorded for each product.
var interviews = []interviewOf{
	{"", questions, peers.Options{}},
	{"-tls", tlsQuestions, peers.Options{TLS: peers.Explicit}},
	{"-readonly", readOnlyQuestions, peers.Options{ReadOnly: true}},
	{"-refused", refusedQuestions, peers.Options{}},
}

// eachInterview runs a subtest for every product and interview.
func eachInterview(t *testing.T, test func(t *testing.T, product string, as ftptest.Product, in interviewOf)) {
	for _, p := range products {
		for _, in := range interviews {
			if p.name == "vsftpd" && in.name == "-refused" {
				continue // anonymous may log in with any password
			}
			t.Run(p.name+in.name, func(t *testing.T) {
				t.Parallel()
				test(t, p.name, p.as, in)
			})
		}
	}
}

// TestProductSays checks that a Product replies like the server recorded in testdata/products.
func TestProductSays(t *testing.T) {
	eachInterview(t, func(t *testing.T, product string, as ftptest.Product, in interviewOf) {
		root := t.TempDir()
		lay(t, root)
		user, perm := "user", server.ReadWrite
		if product == "vsftpd" {
			user = "anonymous"
		}
		if in.peers.ReadOnly {
			perm = server.ReadOnly
		}
		options := []ftptest.Option{ftptest.Like(as), ftptest.WithUser(user, "secret", perm)}
		if in.peers.TLS == peers.Explicit {
			options = append(options, ftptest.WithTLS(), ftptest.WithOptions(func(o *server.Options) { o.TLSRequired = true }))
		}
		srv := ftptest.NewServer(t, afero.NewBasePathFs(afero.NewOsFs(), root), options...)
		compare(t, product+in.name, interview(t, in.questions, srv.Addr, user, "secret", srv.CAs, alike(root)))
	})
}

// TestProductPeers checks that the installed servers reply as recorded. -update records them again.
func TestProductPeers(t *testing.T) {
	eachInterview(t, func(t *testing.T, product string, _ ftptest.Product, in interviewOf) {
		root := t.TempDir()
		if err := os.Chmod(root, 0o755); err != nil {
			t.Fatal(err)
		}
		lay(t, root)
		peer := peers.Start(t, product, root, in.peers)
		var trust *x509.CertPool
		if peer.Certs != nil {
			trust = peer.Certs.CA
		}
		said := interview(t, in.questions, peer.Addr, peer.User, peer.Password, trust, alike(root))
		if *update {
			if err := os.WriteFile(transcript(product+in.name), []byte(said), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if compare(t, product+in.name, said); t.Failed() {
			t.Log("another version than the recorded one? -update records it anew")
		}
	})
}

// compare compares an interview with the recorded one, reply by reply.
func compare(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile(transcript(name))
	if err != nil {
		t.Fatal(err)
	}
	gots, wants := strings.Split(got, "\nC: "), strings.Split(string(want), "\nC: ")
	for i := range min(len(gots), len(wants)) {
		if gots[i] != wants[i] {
			t.Errorf("C: %s\nwant C: %s", gots[i], wants[i])
		}
	}
	if len(gots) != len(wants) {
		t.Errorf("%d replies, want %d", len(gots), len(wants))
	}
}

// TestProductClient checks that the client works with every Product, also with TLS and in active mode.
func TestProductClient(t *testing.T) {
	for _, p := range []ftptest.Product{ftptest.VSFTPD(), ftptest.ProFTPD(), ftptest.PureFTPd(), ftptest.Pyftpdlib(), ftptest.IIS()} {
		t.Run(p.Name, func(t *testing.T) {
			everyWay(t, func(t *testing.T, option ftptest.Option, dial func(*ftptest.Server) *client.Client) {
				srv := ftptest.NewServer(t, nil, option, ftptest.Like(p))
				useProduct(t, dial(srv))
			}, "clear", "TLS 1.3")
		})
	}
}

// TestOwnProduct checks a Product that has only a few rules. It does not change listings.
func TestOwnProduct(t *testing.T) {
	srv := ftptest.NewServer(t, nil, ftptest.Like(ftptest.Product{
		Knows: "USER PASS PWD CWD TYPE EPSV LIST STOR QUIT",
		Rules: []ftptest.Rule{{On: "GREETING 220", Say: "220-Hi,\n220 {clock}"}, {On: "?", Say: "502 No {verb} here."}},
	}))
	c := srv.Client()
	if hi := c.Greeting(); len(hi.Lines) != 2 || hi.Lines[0] != "Hi," {
		t.Errorf("the greeting is %q", hi.Lines)
	}
	if _, err := c.Size(t.Context(), "/x"); code(err) != 502 || !strings.Contains(err.Error(), "No SIZE here.") {
		t.Errorf("SIZE: %v", err)
	}
	if _, err := c.Store(t.Context(), "/x", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
	for e, err := range c.List(t.Context(), "/") {
		if err != nil || e.Name != "x" {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func useProduct(t *testing.T, c *client.Client) {
	ctx, body := t.Context(), strings.Repeat("body ", 1000)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.MakeDir(ctx, "/d"))
	for _, name := range []string{"/d/a b.txt", "/d/.hidden", "/d/plain"} {
		_, err := c.Store(ctx, name, strings.NewReader(body))
		must(err)
	}
	must(c.Rename(ctx, "/d/plain", "/d/moved"))
	var got strings.Builder
	_, err := c.Retrieve(ctx, "/d/moved", &got)
	must(err)
	if got.String() != body {
		t.Errorf("received %d bytes", got.Len())
	}
	var names []string
	for e, err := range c.Walk(ctx, "/") {
		must(err)
		names = append(names, e.Path)
		if e.Type == ftp.FileEntry && e.Size != int64(len(body)) {
			t.Errorf("%s has %d bytes", e.Path, e.Size)
		}
	}
	if want := []string{"/d", "/d/.hidden", "/d/a b.txt", "/d/moved"}; !slices.Equal(names, want) {
		t.Errorf("the files are %q, want %q", names, want)
	}
	if _, err := c.Stat(ctx, "/missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := c.Retrieve(ctx, "/missing", io.Discard); err == nil {
		t.Error("a missing file was retrieved")
	}
	must(c.RemoveAll(ctx, "/d"))
}
