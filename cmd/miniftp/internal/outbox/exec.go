package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"miniftp/ftp"
)

// rejected is the exit code of a program that will never accept an event: EX_DATAERR of sysexits.h. Others, such as 1 and 2, are
// also those of a program that is broken for now.
const rejected = 65

// program is a receiver that is run for each event.
type program string

func (p program) deliver(ctx context.Context, e *Event, _ string) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, string(p)) //nolint:gosec // the administrator names it, and it gets no arguments
	cmd.Env = environment(e)
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(append(body, '\n'))
	var said firstLine
	cmd.Stderr = &said
	ownGroup(cmd)
	cmd.WaitDelay = time.Second // its children may hold standard error open
	err = cmd.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended with 0
		return nil
	case ctx.Err() != nil:
		return errors.New("it did not end in time, and was killed")
	case !ended:
		if path, ok := errors.AsType[*os.PathError](err); ok {
			err = path.Err
		}
		return fmt.Errorf("it can't be run: %w", err)
	case exit.ExitCode() == rejected:
		return &rejection{"it ended with 65" + said.text()}
	default:
		return fmt.Errorf("it ended with %s%s", strings.TrimPrefix(exit.ProcessState.String(), "exit status "), said.text())
	}
}

// environment returns the environment of a program: the fields of an event, with the exact bytes of paths.
func environment(e *Event) (env []string) {
	for _, v := range [][2]string{
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"SYSTEMROOT", os.Getenv("SYSTEMROOT")}, // Windows starts no program without it
		{"MINIFTP_ID", e.ID},
		{"MINIFTP_TIME", e.Time.Format(time.RFC3339Nano)},
		{"MINIFTP_KIND", e.Kind},
		{"MINIFTP_SERVER", e.Server},
		{"MINIFTP_USER", e.User},
		{"MINIFTP_FROM", e.From},
		{"MINIFTP_VERB", e.Verb},
		{"MINIFTP_PATH", e.path()},
		{"MINIFTP_TO", e.to()},
		{"MINIFTP_BYTES", strconv.FormatInt(e.Bytes, 10)},
		{"MINIFTP_SHA256", e.SHA256},
	} {
		if v[1] != "" && !strings.Contains(v[1], "\x00") {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}

// firstLine keeps the beginning of what is written to it.
type firstLine struct{ b []byte }

func (l *firstLine) Write(p []byte) (int, error) {
	const most = 200
	l.b = append(l.b, p[:min(len(p), most-len(l.b))]...)
	return len(p), nil
}

// text returns the first line for the log, or "".
func (l *firstLine) text() string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(l.b), []byte("\n"))
	if len(line) == 0 {
		return ""
	}
	return ": " + ftp.Printable(strings.ToValidUTF8(string(line), "?"))
}
