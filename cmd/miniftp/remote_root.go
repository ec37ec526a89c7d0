package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
)

// remoteSessions is how many control connections to the server behind a remote root
// are made at most; sessions that need more wait for one.
const remoteSessions = 16

// isRemote reports whether what is to be served is another server's tree.
func isRemote(spec string) bool {
	for scheme := range ports {
		if len(spec) > len(scheme)+3 && spec[:len(scheme)+3] == scheme+"://" {
			return true
		}
	}
	return false
}

// openRemote makes a tree of files of the server that a URL names: miniftp stands in
// front of it, with TLS, users or passive mode that the other one lacks. The login is
// the URL's, else that of MINIFTP_PASSWORD or ~/.netrc, else anonymous.
func openRemote(ctx context.Context, spec string) (afero.Fs, io.Closer, error) {
	r, err := parseRemote(spec)
	if err != nil {
		return nil, nil, err
	}
	o := client.Options{User: r.user, Password: r.pass}
	switch r.scheme {
	case "ftpes":
		o.TLS = client.ExplicitTLS
	case "ftps":
		o.TLS = client.ImplicitTLS
	}
	if !r.hasPass {
		if p, ok := os.LookupEnv("MINIFTP_PASSWORD"); ok && r.user != "" {
			o.Password = p
		} else if user, pass, ok, err := netrcLogin(r.addr, r.user); ok && err == nil {
			o.User, o.Password = user, pass
		}
	}
	pool := client.NewPool(r.addr, &o, remoteSessions)
	files, err := client.NewFs(ctx, pool, r.path)
	if err != nil {
		_ = pool.Close()
		return nil, nil, at(r.String(), tlsHint(loginHint(err, o), o))
	}
	return files, pool, nil
}
