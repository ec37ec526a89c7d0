package connect

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/bridge"
	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/ftp/client"
)

// Storages is a sentence for the help of verbs whose URLs may be those of storages.
func Storages() string { return " A URL can also name a storage: " + storage.URLs() + "." }

// openStorage returns a Link to the storage of r, over a bridge that Link.Close closes.
func openStorage(e *verb.Env, c *cli.Context, r *target.Remote) (*Link, error) {
	if err := refuseServerFlags(c); err != nil {
		return nil, err
	}
	opts, err := Options(c)
	if err != nil {
		return nil, err
	}
	observer, err := watch.Observer(e, c, "")
	if err != nil {
		return nil, err
	}
	opening, cancel := context.WithTimeoutCause(c.Context, opts.Timeout, client.ErrTimeout)
	defer cancel()
	// A comparison by times needs those of the files, not those of when they were stored.
	use := storage.Use{Timeout: opts.Timeout, Client: true, Exact: c.Command.Name == "mirror" || c.Bool("newer")}
	b, err := bridge.Open(opening, r.Storage, use, slog.New(trouble{e.Say}))
	if err != nil {
		return nil, openProblem(r.Storage, err)
	}
	r.Addr = b.Addr
	k := &Link{Env: e, Ctx: c.Context, Remote: r, Opts: opts, Retries: c.Int("retries"), Connected: new(atomic.Bool), At: r.String(), Bridge: b}
	k.Opts.User, k.Opts.Password, k.Opts.Dial, k.Opts.Observer = b.User, b.Password, b.Dial, observer
	k.Opts.Timeout, k.Opts.WorkTimeout = bridge.Patience, bridge.Patience
	k.Opts.Mode, k.Opts.Verbs, k.Opts.Account, k.Opts.Charset = 0, client.AnyVerbs, "", nil // a variable may have set them
	k.Several = &Several{Drawn: c.Bool("explain") || explain.PictureName(c) != ""}
	k.Pool = client.NewPool(b.Addr, Parallel(c), &k.Opts)
	return k, nil
}

// openProblem returns err, from opening a storage, as an error about a local file if it is one.
func openProblem(root string, err error) error {
	switch {
	case errors.As(err, new(*storage.Error)), verb.ExitCode(err) == verb.ExitUsage, errors.Is(err, context.Canceled):
		return err
	case errors.As(err, new(*fs.PathError)):
		return verb.LocalProblem(root, err)
	}
	return &client.LocalError{Err: err}
}

// serverFlags holds the flags that have a meaning only for servers.
var serverFlags = []string{
	"user", "password-file", "netrc", "account", "tls", "ca-cert", "pin", "insecure", "cert", "key",
	"active", "active-ports", "active-ip", "proxy", "charset",
}

// refuseServerFlags returns an error if a flag makes no sense for the URLs of a command line, which are those of
// storages. If one of them is that of a server, the flags are for that.
func refuseServerFlags(c *cli.Context) error {
	for _, arg := range c.Args().Slice() {
		if verb.IsURL(arg) && !storage.Is(arg) {
			return nil
		}
	}
	for _, name := range serverFlags {
		if flags.Asked(c, name) && (c.String(name) != "false" && c.String(name) != "none") {
			return verb.Usagef("--%s is for servers and can't be used with a storage such as s3:// or zip:", name)
		}
	}
	return nil
}

// trouble passes on the warnings and errors in the log of a bridge, and drops everything else.
type trouble struct{ say func(line string) }

func (trouble) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (t trouble) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "session" { // the reader knows of none
			text += ": " + a.Value.String()
		}
		return true
	})
	t.say("miniftp: " + text)
	return nil
}

func (t trouble) WithAttrs([]slog.Attr) slog.Handler { return t }

func (t trouble) WithGroup(string) slog.Handler { return t }
