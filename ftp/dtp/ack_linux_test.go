package dtp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"syscall"
	"testing"
	"time"

	"miniftp/ftp"
)

// newConfig is for a TLS server whom nobody vouches for.
func newConfig(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	check(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// Who receives under TLS acknowledges at once: the peer may wait for it with its
// next record.
func TestAckAtOnce(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	m.Protect(ServerSecurity(newConfig(t), ReusePrefer))
	o, addr := listening(t, m)
	client := tls.Client(call(t, home, addr), &tls.Config{InsecureSkipVerify: true}) // it is not about trust
	var conn *Conn
	quick := -1
	done := make(chan Result, 1)
	go func() {
		done <- Run(t.Context(), o, Job{
			Sink:   io.Discard,
			Opened: func(c *Conn) error { conn = c; return nil },
			Ready: func() error {
				raw, err := conn.Conn.(*secured).wire.Conn.(*net.TCPConn).SyscallConn()
				if err != nil {
					return err
				}
				return raw.Control(func(fd uintptr) {
					quick, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK)
				})
			},
		})
	}()
	check(t, client.Handshake())
	check(t, client.Close())
	if res := <-done; res.Err != nil || quick != 1 {
		t.Errorf("TCP_QUICKACK is %d: %v", quick, res.Err)
	}
}
