package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/acmecert"
	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/server"
)

// certificates holds the certificates of a server. Their files are read again when they change,
// so a renewed certificate needs no restart.
type certificates struct {
	log *slog.Logger

	hosts     []string // of --tls-acme
	authority acmecert.Config
	acme      *acmecert.Manager // nil without hosts
	own       bool              // the pair is self-signed
	loaded    func()            // called after a changed file was read; nil: not

	mu     sync.Mutex
	pairs  []*pair
	looked time.Time
	missed time.Time // when the log was told last that there is no certificate
}

// pair is a certificate and its key.
type pair struct {
	certFile, keyFile string
	cert              *tls.Certificate
	read              [2]stamp // the stamps of the files when they were read
}

// stamp is the time and size of a file, which show whether it has changed.
type stamp struct {
	at   time.Time
	size int64
}

// lookAgain is the minimum time between two checks of the files.
const lookAgain = 5 * time.Second

// loadCertificates reads the files. A certificate without a key file has its key in its own file.
func loadCertificates(certFiles, keyFiles []string) (*certificates, error) {
	if len(keyFiles) > len(certFiles) {
		return nil, verb.Usagef("there are more --tls-key than --tls-cert")
	}
	cs := &certificates{looked: time.Now()}
	for i, file := range certFiles {
		p := &pair{certFile: file, keyFile: file}
		if i < len(keyFiles) {
			p.keyFile = keyFiles[i]
		}
		if err := p.load(); err != nil {
			return nil, err
		}
		cs.pairs = append(cs.pairs, p)
	}
	return cs, nil
}

func (p *pair) load() error {
	now := p.stamps() // before the content, so that a change in between is noticed next time
	cert, err := local.KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return err
	}
	p.cert, p.read = &cert, now
	return nil
}

// stamps returns the current stamps of the files; that of a missing file is zero.
func (p *pair) stamps() (now [2]stamp) {
	for i, name := range []string{p.certFile, p.keyFile} {
		if fi, err := os.Stat(name); err == nil {
			now[i] = stamp{fi.ModTime(), fi.Size()}
		}
	}
	return now
}

// get returns the certificate for the host name that the client asks for (SNI): that of ACME if the name is one of its
// hosts, else one of the files. Clients that ask for no name, or for an unknown one, get the first certificate, where those
// of ACME come first. Until the authority has issued a certificate, a file that fits takes its place.
func (cs *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	known := slices.Contains(cs.hosts, name)
	if known {
		if cert := cs.acme.Get(name); cert != nil {
			return cert, nil
		}
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if time.Since(cs.looked) >= lookAgain {
		cs.refresh()
	}
	if name != "" || len(cs.hosts) == 0 {
		for _, p := range cs.pairs {
			if hello.SupportsCertificate(p.cert) == nil {
				return p.cert, nil
			}
		}
	}
	if !known && len(cs.hosts) > 0 {
		if cert := cs.acme.Get(cs.hosts[0]); cert != nil {
			return cert, nil
		}
	}
	if !known && len(cs.pairs) > 0 {
		return cs.pairs[0].cert, nil
	}
	if !known {
		name = cs.hosts[0]
	}
	if time.Since(cs.missed) >= missedEvery {
		cs.missed = time.Now()
		cs.log.Warn("a TLS handshake was refused, because there is no certificate yet", "host", name, "authority", cs.acme.Authority())
	}
	return nil, errNoCertificate
}

// named returns the hosts of --tls-acme; cs may be nil.
func (cs *certificates) named() []string {
	if cs == nil {
		return nil
	}
	return cs.hosts
}

// missedEvery is the minimum time between two lines about missing certificates.
const missedEvery = time.Minute

var errNoCertificate = errors.New("there is no certificate yet")

// list describes the certificates, the one for clients that ask for no name first.
func (cs *certificates) list() (all []control.Certificate) {
	if cs.acme != nil {
		for _, state := range cs.acme.States() {
			c := control.Certificate{Names: []string{state.Host}, Source: control.FromACME, Error: state.Problem}
			if state.Cert != nil {
				c.NotBefore, c.NotAfter = state.Cert.Leaf.NotBefore, state.Cert.Leaf.NotAfter
			}
			all = append(all, c)
		}
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if time.Since(cs.looked) >= lookAgain {
		cs.refresh()
	}
	for _, p := range cs.pairs {
		all = append(all, cs.describe(p))
	}
	return all
}

// describe describes the certificate of a file.
func (cs *certificates) describe(p *pair) control.Certificate {
	leaf := p.cert.Leaf
	c := control.Certificate{Names: []string{}, Source: control.FromFile, File: p.certFile, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}
	if cs.own {
		c.Source = control.SelfSigned
	}
	c.Names = append(c.Names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	if len(c.Names) == 0 && leaf.Subject.CommonName != "" {
		c.Names = append(c.Names, leaf.Subject.CommonName)
	}
	return c
}

// refresh reads the files that have changed. If one can't be used, the old certificate stays in use.
func (cs *certificates) refresh() {
	cs.looked = time.Now()
	for _, p := range cs.pairs {
		now := p.stamps()
		if now == p.read {
			continue
		}
		if err := p.load(); err != nil {
			p.read = now // so that it is logged once
			cs.log.Warn("the certificate has changed but can't be used; the old one stays in use", "file", p.certFile, "err", err)
			continue
		}
		cs.log.Info("certificate reloaded", "file", p.certFile, "until", p.cert.Leaf.NotAfter)
		if cs.loaded != nil {
			cs.loaded()
		}
	}
}

// fingerprint returns the fingerprint of the first file.
func (cs *certificates) fingerprint() string { return local.Fingerprint(cs.pairs[0].cert.Leaf) }

// selfSigned returns the file of the self-signed certificate. It makes a certificate if there is none,
// or if it has expired.
func selfSigned() (file string, err error) {
	file, kept, err := keptCertificate()
	if err != nil || kept {
		return file, err
	}
	cert, err := newCertificate()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", verb.LocalProblem(filepath.Dir(file), err)
	}
	return file, local.SavePEM(file, cert)
}

// keptCertificate returns the file of the self-signed certificate, and whether it holds one that has not
// expired.
func keptCertificate() (file string, kept bool, err error) {
	dir, err := local.StateDir()
	if err != nil {
		return "", false, fmt.Errorf("no directory to keep a certificate in: %w (use --tls-cert)", err)
	}
	file = filepath.Join(dir, "self-signed.pem")
	pair, err := local.KeyPair(file, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file, false, nil
	case err != nil:
		return "", false, fmt.Errorf("%w (remove the file to have a new certificate made)", err)
	}
	return file, time.Now().Before(pair.Leaf.NotAfter), nil
}

// newCertificate makes a self-signed certificate for this machine.
func newCertificate() (tls.Certificate, error) {
	host, _ := os.Hostname()
	if host == "" {
		host = "localhost"
	}
	return server.SelfSigned(host)
}

// trySelfSigned returns the certificate that selfSigned would use, but writes no file.
func trySelfSigned() (*certificates, error) {
	file, kept, err := keptCertificate()
	if err != nil {
		return nil, err
	}
	if kept {
		return loadCertificates([]string{file}, nil)
	}
	if err := local.MayCreate(file); err != nil {
		return nil, err
	}
	cert, err := newCertificate()
	return &certificates{looked: time.Now(), pairs: []*pair{{certFile: file, keyFile: file, cert: &cert}}}, err
}
