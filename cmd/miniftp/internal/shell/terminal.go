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

// terminal reads the lines that the user types: with editing, history and Tab, or plainly if the
// terminal does not support that. With editing the terminal has two modes: original, in which programs run,
// and editing, in which lines and passwords are read.
type terminal struct {
	s        *session
	side     heldWriter
	editor   *liner.State      // nil without editing
	original liner.ModeApplier // the mode before the shell
	editing  liner.ModeApplier // the mode of the editor
	plain    *bufio.Reader
	history  []string
	file     string // holds the history; "" for none
}

// errDropped is returned by next when Ctrl-C abandons a line.
var errDropped = errors.New("the line was abandoned")

// interruptedError is returned when a question is answered with Ctrl-C.
type interruptedError struct{}

func (interruptedError) Error() string        { return "interrupted" }
func (interruptedError) Is(target error) bool { return target == context.Canceled }

func newTerminal(s *session) (*terminal, error) {
	t := &terminal{s: s, side: heldWriter{w: s.e.Err}}
	t.load()
	if !term.IsTerminal(s.e.Out) || !liner.TerminalSupported() {
		t.plain = bufio.NewReader(s.e.In)
		return t, nil
	}
	var err error
	if t.original, err = liner.TerminalMode(); err != nil {
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

// next reads a line. It returns io.EOF for Ctrl-D and errDropped for Ctrl-C.
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
	_ = t.editing.ApplyMode() // a program may have changed the mode
	line, err := t.editor.Prompt(prompt)
	if errors.Is(err, liner.ErrPromptAborted) {
		err = errDropped
	}
	return line, err
}

// password asks for a password, without echo.
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
		err = verb.Usagef("no password was entered")
	}
	return pass, err
}

// lend restores the terminal for another program; takeBack undoes that.
func (t *terminal) lend() {
	if t != nil && t.original != nil {
		_ = t.original.ApplyMode()
	}
}

func (t *terminal) takeBack() {
	if t != nil && t.editing != nil {
		_ = t.editing.ApplyMode()
	}
}

// mostHistory is how many lines the history keeps.
const mostHistory = 1000

// load reads the history, and shortens its file if it has grown too long. If the file can't be
// used, the history lasts only as long as this shell.
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

// remember adds a line to the history, unless it holds a password.
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
	_, _ = f.WriteString(line + "\n") // failing to save the history is not an error of the command
}

// heldWriter is standard error. While the user types a line it holds back messages, such as those of
// jobs.
type heldWriter struct {
	mu     sync.Mutex
	w      io.Writer
	typing bool
	held   bytes.Buffer
}

// mostHeldText is how many bytes are held back; the rest is dropped.
const mostHeldText = 64 << 10

func (p *heldWriter) Write(b []byte) (int, error) {
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

// Unwrap returns the underlying writer, which may be a terminal.
func (p *heldWriter) Unwrap() io.Writer { return p.w }

// hold starts holding text back, or stops and writes it.
func (p *heldWriter) hold(typing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.typing = typing
	if !typing {
		_, _ = p.held.WriteTo(p.w)
	}
}
