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

func (p *program) ask(ctx context.Context, q *question) (answer, error) {
	in, err := q.encode()
	if err != nil {
		return answer{}, err
	}
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := callout.Command(limited, p.path, nil)
	out := &output{full: cancel}
	var errs tail
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), out, &errs
	err = callout.Run(cmd, true)
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case out.tooLong:
		return answer{}, errTooLong
	case ctx.Err() != nil:
		return answer{}, errors.New("no answer in time")
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended with 0
		return parseAnswer(out.b)
	case !exited:
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err
		}
		return answer{}, errors.New("it can't be run: " + err.Error())
	}
	why := "it ended with " + exit.ProcessState.String()
	if said := errs.lastLine(); said != "" {
		why += ": " + said
	}
	return answer{}, errors.New(why)
}

// output keeps what a program answers. A program that writes more than an answer may have is ended by full.
type output struct {
	b       []byte
	full    func()
	tooLong bool
}

func (o *output) Write(p []byte) (int, error) {
	if o.tooLong || len(o.b)+len(p) > maxAnswer {
		o.tooLong = true
		o.full()
		return 0, errTooLong
	}
	o.b = append(o.b, p...)
	return len(p), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	b   []byte
	cut bool // something is missing before b
}

const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxTail):]...)
	if more := len(t.b) - maxTail; more > 0 || len(p) > maxTail {
		t.b = append(t.b[:0], t.b[max(more, 0):]...)
		t.cut = true
	}
	return len(p), nil
}

// lastLine returns the last line, which in most languages is the error. A line whose beginning is missing is left out: it
// could be a part of the password that scrub does not find.
func (t *tail) lastLine() string {
	text := bytes.TrimSpace(t.b)
	i := bytes.LastIndexAny(text, "\r\n")
	if i < 0 && t.cut {
		return ""
	}
	return string(text[i+1:])
}
