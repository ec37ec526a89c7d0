package authn

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os/exec"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/ftp"
)

// program is a source that runs an executable for each question. It gets the question on its standard input, never as an
// argument or a variable, which others could see, and exits with 0 after it has written the answer to its standard output.
type program struct{ path string }

func newProgram(path string) (source, string, error) {
	if err := callout.CheckProgram(path); err != nil {
		return nil, "", err
	}
	return &program{path}, "exec:" + ftp.Printable(path), nil
}

func (p *program) close() {}

// maxErrors limits how much of its standard error is kept, in bytes.
const maxErrors = 4 << 10

func (p *program) ask(ctx context.Context, q *question) (answer, error) {
	in, err := q.encode()
	if err != nil {
		return answer{}, err
	}
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := callout.Command(limited, p.path, nil)
	out, errs := &callout.Head{Max: maxAnswer, Full: cancel}, &callout.Tail{Max: maxErrors}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), out, errs
	err = callout.Run(cmd, true)
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case out.Cut():
		return answer{}, errTooLong
	case ctx.Err() != nil:
		return answer{}, errors.New("no answer in time")
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended with 0
		return parseAnswer(out.Bytes())
	case !exited:
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err
		}
		return answer{}, errors.New("it can't be run: " + err.Error())
	}
	why := "it ended with " + exit.ProcessState.String()
	// Without its beginning, a line could hold a part of the password, which scrub does not find.
	if said := errs.LastLine(); said != "" {
		why += ": " + said
	}
	return answer{}, errors.New(why)
}
