// Package admin implements the verbs who, top, kick, drain, reload, ban and events, which manage a running server.
//
// Package control talks to the server. The verbs choose it, and print what it says.
package admin

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// The flags that choose a server.
const (
	socketFlag = "socket"
	sharedFlag = "shared-state"
)

// server returns the flags of a verb for one server, and own.
func server(own ...cli.Flag) []cli.Flag {
	return append(own,
		&cli.StringFlag{Name: socketFlag, Usage: "use the server whose socket is `PATH` (its --control)", DefaultText: "that of the only server"})
}

// servers is like server, for a verb that also works with several servers.
func servers(own ...cli.Flag) []cli.Flag {
	return append(server(own...),
		&cli.StringFlag{Name: sharedFlag, Usage: "use all servers that share the state in the bucket `s3://BUCKET/PREFIX` (their --shared-state)", DefaultText: "none"})
}

// dial returns a client of the chosen server.
func dial(c *cli.Context) (*control.Client, error) {
	return control.Dial(c.Context, c.String(socketFlag))
}

// sharing reports whether the verb is for all servers that share a state. A --socket on the command line overrides a
// state that is named in the environment.
func sharing(c *cli.Context) (bool, error) {
	switch {
	case c.String(sharedFlag) == "":
		return false, nil
	case !flags.Asked(c, socketFlag):
		return true, nil
	case flags.Asked(c, sharedFlag):
		return false, verb.Usagef("--socket and --shared-state can't be used together")
	}
	return false, nil
}

// openShared opens the state that servers share. The caller must close the closer.
func openShared(c *cli.Context) (control.Shared, io.Closer, error) {
	state, closer, err := storage.OpenState(c.Context, c.String(sharedFlag))
	if err != nil {
		return control.Shared{}, nil, err
	}
	return control.Shared{State: state}, closer, nil
}

// shared calls f with the state that servers share.
func shared(c *cli.Context, f func(ctx context.Context, s control.Shared) error) error {
	s, closer, err := openShared(c)
	if err != nil {
		return err
	}
	defer closer.Close()
	return f(c.Context, s)
}

// jsonFlag returns --json.
func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }

func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only errors"}
}

// name returns the number of a session as kick takes it: with the name of its server if there are several.
func name(in *sessions.Info, several bool) string {
	id := strconv.FormatUint(in.ID, 10)
	if several {
		return in.Server + "/" + id
	}
	return id
}

// write prints text, in ASCII if the locale has no other characters.
func write(e *verb.Env, text string) error {
	if !term.UTF8() {
		text = term.ASCII(text)
	}
	_, err := io.WriteString(e.Out, text)
	return err
}

// join joins lines.
func join(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}
