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

	"miniftp/cmd/miniftp/internal/callout"
)

// rejected is the exit code of a program that will never accept an event: EX_DATAERR of sysexits.h. Others, such as 1 and 2, are
// also those of a program that is broken for now.
const rejected = 65

// maxErrors limits how much of the standard error of a program is kept, in bytes.
const maxErrors = 4 << 10

// program is a receiver that is run for each event.
type program string

func (p program) deliver(ctx context.Context, e *Event, _ string) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	cmd := callout.Command(ctx, string(p), variables(e))
	cmd.Stdin = bytes.NewReader(append(body, '\n'))
	said := &callout.Head{Max: maxErrors}
	cmd.Stderr = said
	err = callout.Run(cmd, false)
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
		return &rejection{"it ended with 65" + shown(said)}
	default:
		return fmt.Errorf("it ended with %s%s", strings.TrimPrefix(exit.ProcessState.String(), "exit status "), shown(said))
	}
}

// variables returns the variables of a program: the fields of an event, with the exact bytes of paths.
func variables(e *Event) [][2]string {
	return [][2]string{
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
	}
}

// shown returns the first line of what a program has said, for the log, or "".
func shown(said *callout.Head) string {
	line := callout.FirstLine(string(said.Bytes()))
	if line == "" {
		return ""
	}
	return ": " + line
}
