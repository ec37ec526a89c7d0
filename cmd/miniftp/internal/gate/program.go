package gate

import (
	"context"
	"errors"
	"os/exec"
	"strconv"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/ftp/server"
)

// program asks an executable, which gets the content on its standard input. It exits with 0 to let the upload pass, and
// with 1 to refuse it. The first line of its output is the reason.
type program struct{ path string }

func newProgram(path string) (checker, error) {
	if err := callout.CheckProgram(path); err != nil {
		return nil, err
	}
	return &program{path}, nil
}

func (p *program) String() string { return "exec:" + p.path }

func (p *program) check(ctx context.Context, u *server.GateUpload) error {
	cmd := callout.Command(ctx, p.path, [][2]string{
		{"MINIFTP_USER", u.User},
		{"MINIFTP_PATH", u.Path},
		{"MINIFTP_FROM", host(u.Remote)},
		{"MINIFTP_VERB", u.Verb},
		{"MINIFTP_SIZE", strconv.FormatInt(u.Size, 10)},
	})
	out, errs := &callout.Head{Max: maxOutput}, &callout.Head{Max: maxOutput}
	in := newBody(u)
	defer in.end()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errs
	err := callout.Run(cmd, true)
	switch code := exitCode(cmd); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case in.failure() != nil: // the program has not seen all
		return in.failure()
	case code == 0:
		return nil
	case code == 1:
		if why := callout.FirstLine(string(out.Bytes())); why != "" {
			return refuse("refused by the check: %s", why)
		}
		return refuse("refused by the check")
	case cmd.ProcessState == nil:
		return err // not started
	}
	why := cmd.ProcessState.String()
	if said := callout.FirstLine(string(errs.Bytes())); said != "" {
		why += ": " + said
	}
	return errors.New(why)
}

// exitCode returns the exit status of a program, or -1 if it did not exit by itself.
func exitCode(cmd *exec.Cmd) int {
	if cmd.ProcessState == nil {
		return -1
	}
	return cmd.ProcessState.ExitCode()
}
