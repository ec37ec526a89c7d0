package connect

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftpfs"
)

// remoteSessions is how many control connections to the server behind a remote root
// are made at most; remoteReserve of them are for commands that transfer no file. Sessions
// that need more wait for one, as long as for a reply of that server.
const (
	remoteSessions = 16
	remoteReserve  = 4
)

// IsRemote reports whether what is to be served is another server's tree.
func IsRemote(spec string) bool {
	scheme, rest, ok := strings.Cut(spec, "://")
	return ok && rest != "" && ftp.DefaultPort(scheme) != ""
}

// OpenRemote makes a tree of files of the server that a URL names: miniftp stands in
// front of it, with TLS, users or passive mode that the other one lacks. The login is
// the URL's, else that of MINIFTP_PASSWORD or ~/.netrc, else anonymous. opening bounds the
// first login there. ctx ends all that is done there; when quit does, which is before,
// nothing waits for a connection any more.
func OpenRemote(opening, ctx, quit context.Context, spec string) (afero.Fs, io.Closer, error) {
	r, err := target.Parse(spec)
	if err != nil {
		return nil, nil, err
	}
	var none *client.Options
	o := *none.For(r)
	if !r.HasPassword {
		if p, ok := os.LookupEnv("MINIFTP_PASSWORD"); ok && r.User != "" {
			o.Password = p
		} else if user, pass, ok, err := netrcLogin(r.Addr, r.User); ok && err == nil {
			o.User, o.Password = user, pass
		}
	}
	pool := client.NewPool(r.Addr, remoteSessions, &o)
	var files *ftpfs.Fs
	first, cancel := context.WithCancel(opening)
	defer cancel()
	defer context.AfterFunc(quit, cancel)()
	err = pool.Do(first, func(*client.Client) error { return nil })
	if err == nil {
		files, err = ftpfs.New(ctx, pool, r.Path)
	}
	if err != nil {
		_ = pool.Close()
		return nil, nil, verb.At(r.String(), TLSHint(LoginHint(err, o), o))
	}
	files.Reserve, files.Quit = remoteReserve, quit
	return files, pool, nil
}
