package shell

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"miniftp/cmd/miniftp/internal/meter"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
)

// job is a command that runs in the background. Its goroutine sets failure and then closes done; the
// session reports the job, and forgets it, before the next prompt or line.
type job struct {
	n    int
	text string
	stop context.CancelFunc
	done chan struct{}
	out  notes // its standard output
	err  notes

	mu      sync.Mutex // guards the fields below
	failure error      // set before done is closed
	killed  bool       // written only by the session's goroutine
	moved   int64      // bytes
	of      int64      // bytes of the files begun so far, if their sizes are known
}

// notes holds the output of a job until the next prompt, up to mostHeldText bytes.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
	more bool
}

func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.text.Len()+len(b) <= mostHeldText {
		n.text.Write(b)
	} else {
		n.more = true
	}
	return len(b), nil
}

func (n *notes) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := n.text.String()
	if n.more {
		text += "… and more\n"
	}
	n.text.Reset()
	n.more = false
	return text
}

// file returns the function to call with the progress of one file of the job.
func (j *job) file() func(done, total int64) {
	var had, size int64
	return func(done, total int64) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.moved += done - had
		had = done
		if total > size {
			j.of += total - size
			size = total
		}
	}
}

// over reports whether the job has ended.
func (j *job) over() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// line returns the job as "jobs" lists it, and as it is printed before a prompt:
// "[1] done   get a.iso  1.2 GB".
func (j *job) line() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	state, progress := "runs", term.Size(j.moved)
	switch {
	case j.over() && j.killed:
		state = "killed"
	case j.over() && j.failure != nil:
		state = "failed"
	case j.over():
		state = "done"
	case j.of > 0:
		progress = fmt.Sprintf("%d %%  %s", min(j.moved*100/j.of, 100), meter.OfSize(min(j.moved, j.of), j.of))
	}
	line := fmt.Sprintf("[%d] %-6s %s", j.n, state, j.text)
	if j.moved > 0 || !j.over() {
		line += "  " + progress
	}
	return line
}

// start runs a verb in the background.
func (s *session) start(l *call) error {
	ctx, cancel := context.WithCancel(s.e.Ctx)
	s.lastJob++
	j := &job{n: s.lastJob, text: s.maskLine(strings.TrimSpace(strings.TrimSuffix(l.text, "&"))), stop: cancel, done: make(chan struct{})}
	run, err := s.prepare(ctx, l, verb.Stdio{In: strings.NewReader(""), Out: &j.out, Err: &j.err}, j)
	if err != nil {
		cancel()
		return err
	}
	s.jobs = append(s.jobs, j)
	if s.tty != nil {
		s.say(fmt.Sprintf("[%d] %s", j.n, j.text))
	}
	go func() {
		err := run()
		j.mu.Lock()
		j.failure = err
		j.mu.Unlock()
		s.listings.forget()
		cancel()
		close(j.done)
	}()
	return nil
}

// reportJobs reports the jobs that have ended, with their output, and forgets them. It returns the error
// of the first one that failed.
func (s *session) reportJobs() (first error) {
	var left []*job
	for _, j := range s.jobs {
		if !j.over() {
			left = append(left, j)
			continue
		}
		if out := j.out.take(); out != "" {
			fmt.Fprint(s.e.Out, out)
		}
		for line := range strings.Lines(j.err.take()) {
			s.say(fmt.Sprintf("[%d] %s", j.n, strings.TrimRight(line, "\n")))
		}
		if s.tty != nil || j.failure != nil {
			s.say(j.line())
		}
		if !j.killed {
			first = verb.FirstError(first, j.failure)
		}
	}
	s.jobs = left
	s.closeOld()
	return first
}

// job returns the job with the number in w.
func (s *session) job(w word) (*job, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(w.text, "%"))
	for _, j := range s.jobs {
		if err == nil && j.n == n {
			return j, nil
		}
	}
	return nil, verb.Usagef("there is no job %s: jobs lists them", w.text)
}

func (s *session) runJobs(_ context.Context, l *call) error {
	for _, j := range s.jobs {
		fmt.Fprintln(l.out, j.line())
	}
	return nil
}

func (s *session) runKill(ctx context.Context, l *call) error {
	j, err := s.job(l.args[0])
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.killed = !j.over()
	j.mu.Unlock()
	j.stop()
	return s.wait(ctx, j)
}

// runWait waits for one job or for all. It returns the error of the first one that failed.
func (s *session) runWait(ctx context.Context, l *call) error {
	jobs := s.jobs
	if len(l.args) > 0 {
		j, err := s.job(l.args[0])
		if err != nil {
			return err
		}
		jobs = []*job{j}
	}
	return s.wait(ctx, jobs...)
}

func (s *session) wait(ctx context.Context, jobs ...*job) error {
	for _, j := range jobs {
		if !j.over() && !j.killed {
			s.say(fmt.Sprintf("waiting for [%d] %s", j.n, j.text))
		}
		select {
		case <-j.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.reportJobs()
}

// finish ends the session. In a script it waits for the jobs; at a terminal, where the user has
// been warned, it ends them.
func (s *session) finish() (err error) {
	ctx := s.e.Ctx
	if n := len(s.jobs); n > 0 && s.tty == nil && ctx.Err() == nil {
		err = s.reportJobs()
		err = verb.FirstError(err, s.wait(ctx, s.jobs...))
	}
	for _, j := range s.jobs {
		j.stop()
	}
	for _, j := range s.jobs {
		<-j.done
	}
	s.disconnect()
	return verb.FirstError(err, s.see.stopExplaining())
}
