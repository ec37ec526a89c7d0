package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/server"
)

// certificates holds the certificates of a server. Their files are read again when they change,
// so a renewed certificate needs no restart.
type certificates struct {
	log *slog.Logger

	mu     sync.Mutex
	pairs  []*pair
	looked time.Time
}

// pair is a certificate and its key.
type pair struct {
	certFile, keyFile string
	cert              *tls.Certificate
	as                [2]stamp // of the files when they were read
}

// stamp identifies the state of a file.
type stamp struct {
	at   time.Time
	size int64
}

// lookAgain is the least time between two looks at the files.
const lookAgain = 5 * time.Second

// loadCertificates reads the files. A certificate without a key file has its key in its own file.
func loadCertificates(certFiles, keyFiles []string) (*certificates, error) {
	if len(keyFiles) > len(certFiles) {
		return nil, verb.Usagef("--tls-key goes with --tls-cert, one for one")
	}
	cs := &certificates{looked: time.Now()}
	for i, file := range certFiles {
		p := &pair{certFile: file, keyFile: file}
		if i < len(keyFiles) {
			p.keyFile = keyFiles[i]
		}
		if err := p.read(); err != nil {
			return nil, err
		}
		cs.pairs = append(cs.pairs, p)
	}
	return cs, nil
}

func (p *pair) read() error {
	as := p.stamps() // before the content: a change in between is seen the next time
	cert, err := local.KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return err
	}
	p.cert, p.as = &cert, as
	return nil
}

func (p *pair) stamps() (as [2]stamp) {
	for i, name := range []string{p.certFile, p.keyFile} {
		if fi, err := os.Stat(name); err == nil {
			as[i] = stamp{fi.ModTime(), fi.Size()}
		}
	}
	return as
}

// get returns the certificate for the name that the client asks for (SNI), else the first.
func (cs *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if time.Since(cs.looked) >= lookAgain {
		cs.refresh()
	}
	for _, p := range cs.pairs {
		if hello.SupportsCertificate(p.cert) == nil {
			return p.cert, nil
		}
	}
	return cs.pairs[0].cert, nil
}

// refresh reads the files that have changed. If one can't be used, the old certificate stays.
func (cs *certificates) refresh() {
	cs.looked = time.Now()
	for _, p := range cs.pairs {
		as := p.stamps()
		if as == p.as {
			continue
		}
		if err := p.read(); err != nil {
			p.as = as // said once
			cs.log.Warn("the certificate can't be read again; the old one stays", "file", p.certFile, "err", err)
			continue
		}
		cs.log.Info("certificate read again", "file", p.certFile, "until", p.cert.Leaf.NotAfter)
	}
}

// fingerprint returns the fingerprint of the first certificate.
func (cs *certificates) fingerprint() string { return local.Fingerprint(cs.pairs[0].cert.Leaf) }

// selfSigned returns the file of this user's own certificate. It makes one if there is none, or if
// it has expired.
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

// keptCertificate returns the file of this user's own certificate, and whether it holds one that is
// still valid.
func keptCertificate() (file string, kept bool, err error) {
	dir, err := local.StateDir()
	if err != nil {
		return "", false, fmt.Errorf("there is no place to keep a certificate: %w (use --tls-cert)", err)
	}
	file = filepath.Join(dir, "self-signed.pem")
	pair, err := local.KeyPair(file, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file, false, nil
	case err != nil:
		return "", false, fmt.Errorf("%w (remove it and a new one is made)", err)
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

// wouldSign returns what selfSigned would, without writing a file.
func wouldSign() (*certificates, error) {
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
