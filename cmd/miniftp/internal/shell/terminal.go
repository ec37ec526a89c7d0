package shell

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/peterh/liner"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"

	xterm "golang.org/x/term"
)

// terminal is where somebody types lines: with editing, history and Tab, or plainly
// where the terminal can't do that.
type terminal struct {
	s       *session
	side    patient
	editor  *liner.State // nil: none
	found   liner.ModeApplier
	editing liner.ModeApplier
	plain   *bufio.Reader
	history []string
	file    string // of the history; "" if there is none
}

// errDropped is a line that was given up by Ctrl-C.
var errDropped = errors.New("the line was dropped")

// interruptedError is a question that was answered by Ctrl-C.
type interruptedError struct{}

func (interruptedError) Error() string        { return "interrupted" }
func (interruptedError) Is(target error) bool { return target == context.Canceled }

func newTerminal(s *session) (*terminal, error) {
	t := &terminal{s: s, side: patient{w: s.e.Err}}
	t.load()
	if !term.IsTerminal(s.e.Out) || !liner.TerminalSupported() {
		t.plain = bufio.NewReader(s.e.In)
		return t, nil
	}
	var err error
	if t.found, err = liner.TerminalMode(); err != nil {
		return nil, verb.LocalProblem("the terminal", err)
	}
	t.editor = liner.NewLiner()
	if t.editing, err = liner.TerminalMode(); err != nil {
		return nil, verb.LocalProblem("the terminal", err)
	}
	t.editor.SetCtrlCAborts(true)
	t.editor.SetBeep(false)
	t.editor.SetTabCompletionStyle(liner.TabPrints)
	t.editor.SetWordCompleter(s.completer().complete)
	for _, line := range t.history {
		t.editor.AppendHistory(line)
	}
	return t, nil
}

func (t *terminal) close() {
	if t.editor != nil {
		_ = t.editor.Close()
	}
}

// next reads a line; io.EOF is Ctrl-D, errDropped Ctrl-C.
func (t *terminal) next(prompt string) (string, error) {
	t.side.hold(true)
	defer t.side.hold(false)
	if t.editor == nil {
		fmt.Fprint(t.s.e.Err, prompt)
		line, err := t.plain.ReadString('\n')
		if line != "" {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	}
	_ = t.editing.ApplyMode() // whatever ran may have left another one
	line, err := t.editor.Prompt(prompt)
	if errors.Is(err, liner.ErrPromptAborted) {
		err = errDropped
	}
	return line, err
}

// password asks for one, which is not shown.
func (t *terminal) password(question string) (string, error) {
	if t.editor == nil {
		fmt.Fprint(t.s.e.Err, question)
		b, err := xterm.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(t.s.e.Err)
		return string(b), err
	}
	_ = t.editing.ApplyMode()
	pass, err := t.editor.PasswordPrompt(question)
	switch {
	case errors.Is(err, liner.ErrPromptAborted):
		err = interruptedError{}
	case errors.Is(err, io.EOF):
		fmt.Fprintln(t.s.e.Out)
		err = verb.Usagef("no password was typed")
	}
	return pass, err
}

// lend gives the terminal to a program, as it was found; takeBack takes it back.
func (t *terminal) lend() {
	if t != nil && t.found != nil {
		_ = t.found.ApplyMode()
	}
}

func (t *terminal) takeBack() {
	if t != nil && t.editing != nil {
		_ = t.editing.ApplyMode()
	}
}

// mostHistory is how many lines are remembered.
const mostHistory = 1000

// load reads the history, and shortens its file if that has grown too long. Without one,
// or where it can't be read, nothing is remembered from one shell to the next.
func (t *terminal) load() {
	dir, err := local.StateDir()
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	name := filepath.Join(dir, "history")
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return
	}
	t.file = name
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); typeable(line) && line != "" {
			t.history = append(t.history, line)
		}
	}
	if n := len(t.history); n > mostHistory {
		t.history = slices.Clone(t.history[n-mostHistory:])
		if err := local.ReplaceFile(name, []byte(strings.Join(t.history, "\n")+"\n"), nil); err != nil {
			t.file = ""
		}
	}
}

// remember puts a line into the history, unless there is a password in it.
func (t *terminal) remember(line string) {
	line = strings.TrimSpace(line)
	_, err := splitLine(line)
	if line == "" || err != nil || !typeable(line) || t.s.maskLine(line) != line || len(t.history) > 0 && t.history[len(t.history)-1] == line {
		return
	}
	t.history = append(t.history, line)
	if len(t.history) > mostHistory {
		t.history = t.history[1:]
	}
	if t.editor != nil {
		t.editor.AppendHistory(line)
	}
	if t.file == "" {
		return
	}
	f, err := os.OpenFile(t.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteString(line + "\n") // a history that can't be kept is no reason to stop
}

// patient is standard error: while somebody types, what jobs bring about waits.
type patient struct {
	mu     sync.Mutex
	w      io.Writer
	typing bool
	held   bytes.Buffer
}

// mostHeldText bounds what waits for the end of a line.
const mostHeldText = 64 << 10

func (p *patient) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.typing {
		return p.w.Write(b)
	}
	if p.held.Len()+len(b) <= mostHeldText {
		p.held.Write(b)
	}
	return len(b), nil
}

// Unwrap returns what is behind it, for those who ask whether that is a terminal.
func (p *patient) Unwrap() io.Writer { return p.w }

// hold says that somebody types from now on, or no longer.
func (p *patient) hold(typing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.typing = typing
	if !typing {
		_, _ = p.held.WriteTo(p.w)
	}
}
