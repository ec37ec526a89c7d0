package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/product"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

func newTestDoctor(t *testing.T, port uint16) *doctor {
	t.Helper()
	s := &setup{opts: client.Options{User: "anonymous", Password: "anonymous@", Timeout: 2 * time.Second, TLSConfig: new(tls.Config)}, host: "both.test"}
	return &doctor{
		s: s, x: &exam{host: "both.test", port: fmt.Sprint(port), scheme: "ftp"}, most: 2, slow: map[string]bool{},
		lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.IPv6Loopback(), netip.MustParseAddr("127.0.0.1")}, nil
		},
	}
}

func listenOn(t *testing.T, at netip.AddrPort) (net.Listener, error) {
	t.Helper()
	var lc net.ListenConfig
	return lc.Listen(t.Context(), "tcp", at.String())
}

var (
	atPublic  = netip.MustParseAddr("203.0.113.7")
	atPrivate = netip.MustParseAddr("192.168.1.20")
)

// healthyExam returns an exam, made from a private address, of a server at a public address where all
// works, after change has changed it.
func healthyExam(change func(x *exam)) *exam {
	x := &exam{host: "files.example.net", port: "21", scheme: "ftp", greeting: ftp.NewReply(220, "ProFTPD ready"), asked: true, hasFEAT: true, features: ftp.Features{"MLST": "", "EPSV": ""}}
	x.server = product.Recognise("ProFTPD ready")
	x.checks.restart = honest
	for _, version := range []uint16{0, tls.VersionTLS12, tls.VersionTLS13} {
		r := &gridRow{family: "IPv4", addr: atPublic, stage: atEnd, local: atPrivate, spec: connSpec{version: version, addr: "203.0.113.7:21"}}
		if version > 0 {
			r.spec.mode, r.cert = client.ExplicitTLS, &x509.Certificate{DNSNames: []string{"other.example.net"}}
		}
		for way := range r.cells {
			addr := netip.AddrPortFrom(atPublic, 40017)
			if isActive(way) {
				addr = netip.AddrPortFrom(atPrivate, 51241)
			}
			r.cells[way] = gridCell{state: works, outcome: outcome{offered: true, opened: true, announced: addr}}
			if version > 0 {
				r.cells[way].tls = &ftp.TLS{Resumed: true}
			}
		}
		x.rows = append(x.rows, r)
	}
	change(x)
	return x
}

// fail gives the cells of a way the outcome o of a failure.
func (x *exam) fail(way int, o outcome) {
	for _, r := range x.rows {
		o.announced = r.cells[way].announced
		r.cells[way] = gridCell{state: fails, outcome: o}
	}
}

// TestJudge: findings about faults that can't be reproduced on loopback.
func TestJudge(t *testing.T) {
	nobodyCame := outcome{offered: true, err: &dtp.OpenError{Mode: ftp.Active, Stance: ftp.Listens, Err: dtp.ErrNobodyCame}}
	noAnswer := outcome{offered: true, err: &dtp.OpenError{Mode: ftp.Passive, Stance: ftp.Dials, Err: errors.New("no answer within 5s")}}
	untrusted := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	for _, tt := range []struct {
		name   string
		change func(x *exam)
		codes  []string
		says   []string
	}{
		{"healthy", func(*exam) {}, nil, nil},
		{"we are behind NAT", func(x *exam) { x.fail(byEPRT, nobodyCame); x.fail(byPORT, nobodyCame) }, []string{"active-no-call"}, []string{"this host is behind NAT, and 192.168.1.20, which we announced, is a private address.", "use passive mode"}},
		{"private address and no active mode", func(x *exam) {
			x.rows[0].cells[byPASV].announced = netip.MustParseAddrPort("10.0.0.5:40017")
			x.fail(byEPRT, nobodyCame)
			x.fail(byPORT, nobodyCame)
		}, []string{"passive-address-private", "active-no-call"}, []string{"(ProFTPD: MasqueradeAddress). miniftp works around it"}},
		{"PORT refused behind NAT", func(x *exam) {
			for _, way := range []int{byEPRT, byPORT} {
				x.rows[0].cells[way] = gridCell{state: absent, outcome: outcome{err: &ftp.Error{Verb: ways[way], Reply: ftp.NewReply(500, "Illegal PORT command.")}}}
			}
		}, []string{"active-refused"}, []string{"This host is behind NAT"}},
		{"firewall", func(x *exam) { x.fail(byEPSV, noAnswer); x.fail(byPASV, noAnswer) }, []string{"data-port-timeout"}, []string{"Data ports such as 40017 time out", "(ProFTPD: PassivePorts)"}},
		{"session can't be resumed", func(x *exam) {
			for _, r := range x.rows[1:] {
				for way := range r.cells {
					r.cells[way] = gridCell{state: fails, outcome: outcome{offered: true, opened: true, err: &ftp.Error{Verb: "MLSD", Reply: ftp.NewReply(425, "Unable to build data connection: TLS session not resumed.")}}}
				}
			}
		}, []string{"tls-data-session"}, []string{"The server refuses TLS data connections without session reuse", "NoSessionReuseRequired"}},
		{"TLS on the control connection only", func(x *exam) {
			for _, r := range x.rows[1:] {
				for way := range r.cells {
					r.cells[way] = gridCell{state: fails, outcome: outcome{offered: true, opened: true, err: &client.TLSError{Data: true, Err: errors.New("the handshake took too long")}}}
				}
			}
		}, []string{"tls-data"}, []string{"the handshake took too long"}},
		{"PROT refused", func(x *exam) {
			for _, r := range x.rows[1:] {
				*r = gridRow{family: r.family, addr: r.addr, spec: r.spec, cert: r.cert, stage: atTLS, err: &client.TLSError{Data: true, Err: &ftp.Error{Verb: "PROT", Reply: ftp.NewReply(534, "No.")}}}
			}
		}, []string{"tls-control-only"}, []string{"534 No."}},
		{"no close_notify", func(x *exam) { x.rows[1].cells[byEPSV].cutShort = true }, []string{"tls-no-close-notify"}, []string{"close_notify"}},
		{"reuse required", func(x *exam) {
			x.rows[2].noReuse = &outcome{opened: true, err: &ftp.Error{Verb: "LIST", Reply: ftp.NewReply(522, "SSL connection failed: session reuse required")}}
		}, []string{"tls-session-reuse"}, []string{"The server refuses TLS data connections without session reuse.", "522", "TLSOptions NoSessionReuseRequired"}},
		{"expired", func(x *exam) { x.rows[1].bad = untrusted(x509.CertificateInvalidError{Reason: x509.Expired}) }, []string{"certificate-expired"}, []string{"renew it (ProFTPD: TLSRSACertificateFile", "--pin sha256:"}},
		{"other host", func(x *exam) {
			x.rows[1].bad = untrusted(x509.HostnameError{Certificate: x.rows[1].cert, Host: x.host})
		}, []string{"certificate-host"}, []string{"for other.example.net, not for files.example.net"}},
		{"unknown authority", func(x *exam) { x.rows[1].bad = untrusted(x509.UnknownAuthorityError{}) }, []string{"certificate-untrusted"}, []string{"--ca-cert FILE"}},
		{"other pin", func(x *exam) { x.rows[1].bad = &connect.PinError{} }, []string{"certificate-pin"}, []string{"its fingerprint is sha256:"}},
		{"insecure", func(x *exam) { x.rows[1].bad, x.trusting = &connect.PinError{}, true }, nil, nil},
		{"only TLS 1.2", func(x *exam) {
			r := x.rows[2]
			*r = gridRow{family: r.family, addr: r.addr, spec: r.spec, stage: atTLS, err: &client.TLSError{Err: errors.New("the peer refuses: protocol version not supported")}}
		}, nil, nil},
		{"no TLS version that we support", func(x *exam) {
			for _, r := range x.rows[1:] {
				*r = gridRow{family: r.family, addr: r.addr, spec: r.spec, stage: atTLS, err: &client.TLSError{Err: errors.New("the peer refuses: protocol version not supported")}}
			}
		}, []string{"tls-handshake"}, []string{"protocol version not supported"}},
		{"IPv6 unreachable", func(x *exam) {
			x.rows = append(x.rows, &gridRow{family: "IPv6", addr: netip.MustParseAddr("2001:db8::7"), err: &client.ConnectError{Addr: "x", Err: syscall.ECONNREFUSED}})
		}, []string{"family-unreachable"}, []string{"IPv6 address 2001:db8::7, but nothing answers there: connection refused."}},
		{"no IPv6 here", func(x *exam) {
			x.rows = append(x.rows, &gridRow{family: "IPv6", addr: netip.MustParseAddr("2001:db8::7"), err: &client.ConnectError{Addr: "x", Err: syscall.ENETUNREACH}})
		}, nil, nil},
		{"silent", func(x *exam) {
			x.rows = []*gridRow{{family: "IPv4", addr: atPublic, stage: atGreeting, err: &client.ConnectError{Addr: "x", Err: fmt.Errorf("%w within 5s", client.ErrTimeout)}}}
		}, []string{"no-greeting"}, []string{"try ftps://"}},
		{"no FTP", func(x *exam) {
			x.rows = []*gridRow{{family: "IPv4", addr: atPublic, stage: atGreeting, err: &client.ConnectError{Addr: "x", Err: fmt.Errorf("%w: \"SSH-2.0\" is not a reply", ftp.ErrSyntax)}}}
		}, []string{"no-greeting"}, []string{"not an FTP server", "SSH-2.0"}},
		{"nobody listens", func(x *exam) {
			x.rows = []*gridRow{{family: "IPv4", addr: atPublic, err: &client.ConnectError{Addr: "x", Err: syscall.ECONNREFUSED}}}
		}, []string{"no-connection"}, []string{"check that the server is running"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := healthyExam(tt.change)
			var codes, said []string
			for i, f := range x.judge() {
				codes, said = append(codes, f.code), append(said, f.what+" "+f.do)
				if f.n != i+1 {
					t.Errorf("finding %d has the number %d", i+1, f.n)
				}
			}
			if !slices.Equal(codes, tt.codes) {
				t.Errorf("found %q, want %q: %q", codes, tt.codes, said)
			}
			for _, want := range tt.says {
				if !strings.Contains(strings.Join(said, "\n"), want) {
					t.Errorf("no %q in %q", want, said)
				}
			}
		})
	}
}

// TestDoctorScreen: the page for people, with all its parts.
func TestDoctorScreen(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	x := healthyExam(func(x *exam) {
		nobodyCame := outcome{offered: true, err: &dtp.OpenError{Mode: ftp.Active, Stance: ftp.Listens, Err: dtp.ErrNobodyCame}}
		x.rows[0].cells[byPASV].announced = netip.MustParseAddrPort("10.0.0.5:40017")
		x.fail(byEPRT, nobodyCame)
		x.fail(byPORT, nobodyCame)
		x.steps = []step{{"connect", 20 * time.Millisecond}, {"greeting", 21 * time.Millisecond}}
		x.rows[2].noReuse = &outcome{err: errors.New("refused")}
		x.rows[2].resumes = true
	})
	s := &report{x: x, findings: x.judge(), command: "miniftp get ftpes://files.example.net/…"}
	var b strings.Builder
	if err := s.print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `files.example.net:21   220 ProFTPD ready                                   41 ms
  FEAT lacks UTF8, REST, SIZE, MDTM, MFMT, HASH, AUTH TLS
  connect 20 ms · greeting 21 ms
                       EPSV    PASV    EPRT    PORT
  clear   IPv4         ok      fix 1   fix 2   fix 2
  TLS 1.2 IPv4         ok      ok      fix 2   fix 2
  TLS 1.3 IPv4         ok      ok      fix 2   fix 2
  restart honest · sizes not reported · MLSD yes
  TLS session reuse required (we do it)
1  PASV announces 10.0.0.5, a private address behind NAT. The server's admin
   should set its public address (ProFTPD: MasqueradeAddress). miniftp works
   around it by using the address of the control connection.
2  In active mode, the server's data connection does not arrive: this host is
   behind NAT, and 192.168.1.20, which we announced, is a private address. There
   is nothing to fix at the server; use passive mode.
3  The server refuses TLS data connections without session reuse. miniftp reuses
   the session. Clients that don't reuse it fail: refused. For them, the
   server's admin can turn the requirement off (ProFTPD: TLSOptions
   NoSessionReuseRequired).
Use:  miniftp get ftpes://files.example.net/…
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestDoctorRules: every rule has a code of its own, and a line in docs/doctor.md with its severity.
func TestDoctorRules(t *testing.T) {
	doc, err := os.ReadFile(verbtest.InModule("docs/doctor.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rules {
		if seen[r.code] || r.see == nil || r.who == "" {
			t.Errorf("rule %s is a duplicate or lacks a function or who", r.code)
		}
		seen[r.code] = true
		if line := fmt.Sprintf("\n| `%s` | %v | ", r.code, r.level); strings.Count(string(doc), line) != 1 {
			t.Errorf("docs/doctor.md does not have exactly one line %q", line)
		}
		if signs := r.see(healthyExam(func(*exam) {})); len(signs) > 0 {
			t.Errorf("%s finds %q although nothing is wrong", r.code, signs[0].what)
		}
		if signs := r.see(&exam{}); len(signs) > 0 {
			t.Errorf("%s finds %q although nothing is known", r.code, signs[0].what)
		}
	}
}

// TestRecognise: products are recognized by their greetings.
func TestRecognise(t *testing.T) {
	for words, want := range map[string]string{
		"(vsFTPd 3.0.3)": "vsftpd", "ProFTPD Server (peer) [127.0.0.1]": "ProFTPD", "---------- Welcome to Pure-FTPd [privsep] [TLS] ----------": "Pure-FTPd",
		"pyftpdlib 1.5.7 ready.": "pyftpdlib", "FileZilla Server 1.8.0": "FileZilla Server", "Microsoft FTP Service": "IIS", "miniftp ready": "miniftp", "Welcome": "", "": "",
	} {
		got := ""
		if p := product.Recognise(words); p != nil {
			got = p.Name
		}
		if got != want {
			t.Errorf("%q is recognized as %q, want %q", words, got, want)
		}
	}
}

// TestVerifyCert: verifyCert trusts the certificates that package tls would trust.
func TestVerifyCert(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name   string
		from   time.Time
		to     time.Time
		known  bool
		change func(cfg *tls.Config)
		is     func(err error) bool
	}{
		{name: "good", from: now.Add(-time.Hour), to: now.Add(time.Hour), known: true, is: func(err error) bool { return err == nil }},
		{name: "unknown", from: now.Add(-time.Hour), to: now.Add(time.Hour), is: func(err error) bool { return errors.As(err, new(x509.UnknownAuthorityError)) && isUntrusted(err) }},
		{name: "expired", from: now.Add(-2 * time.Hour), to: now.Add(-time.Hour), known: true, is: isExpired},
		{name: "another host", from: now.Add(-time.Hour), to: now.Add(time.Hour), known: true, change: func(cfg *tls.Config) { cfg.ServerName = "other.test" }, is: isOtherHost},
		{name: "insecure", from: now.Add(-time.Hour), to: now.Add(time.Hour), change: func(cfg *tls.Config) { cfg.InsecureSkipVerify = true }, is: func(err error) bool { return err == nil }},
		{name: "another pin", from: now.Add(-time.Hour), to: now.Add(time.Hour), known: true, change: func(cfg *tls.Config) {
			cfg.VerifyConnection = func(tls.ConnectionState) error { return &connect.PinError{} }
		}, is: func(err error) bool { return errors.As(err, new(*connect.PinError)) }},
	} {
		cert := selfMade(t, tt.from, tt.to)
		cfg := &tls.Config{RootCAs: x509.NewCertPool()}
		if tt.known {
			cfg.RootCAs.AddCert(cert)
		}
		if tt.change != nil {
			tt.change(cfg)
		}
		host := "both.test"
		if cfg.ServerName != "" {
			host = cfg.ServerName
		}
		if err := verifyCert(cfg, tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}, host); !tt.is(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := verifyCert(new(tls.Config), tls.ConnectionState{}, "x"); err == nil {
		t.Error("a server without a certificate is trusted")
	}
}

// selfMade returns a self-signed certificate for both.test.
func selfMade(t *testing.T, from, to time.Time) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: []string{"both.test"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
