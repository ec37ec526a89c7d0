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

// remoteSessions is the maximum number of control connections to the server of a remote root. remoteReserve
// of them are reserved for commands that transfer no file. A session that finds all in use waits for one,
// at most as long as for a reply of that server.
const (
	remoteSessions = 16
	remoteReserve  = 4
)

// IsRemote reports whether the root spec is the tree of another server.
func IsRemote(spec string) bool {
	scheme, rest, ok := strings.Cut(spec, "://")
	return ok && rest != "" && ftp.DefaultPort(scheme) != ""
}

// OpenRemote returns the files of the server that a URL names, so that miniftp can serve them with TLS, users
// or a passive mode that the other server lacks. The login is that of the URL, else that of MINIFTP_PASSWORD
// or ~/.netrc, else anonymous.
//
// The first login must succeed before the context opening ends. When quit ends, waiting for a free connection
// ends. When ctx ends, which must be later, all use of the files ends.
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
