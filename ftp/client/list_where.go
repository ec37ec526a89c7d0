package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"miniftp/ftp"
)

// pathUse records what a server does with the path in LIST, NLST or MLSD. Some servers list
// the current directory whatever path they are given.
type pathUse struct {
	heeds   atomic.Bool // it lists the path
	ignores atomic.Bool // it lists the current directory
}

// use returns what is known about the path in a verb.
func (h *history) use(verb string) *pathUse {
	switch verb {
	case "MLSD":
		return &h.mlsdPath
	case "NLST":
		return &h.nlstPath
	}
	return &h.listPath
}

// listing is listIn for servers that refuse to list an empty directory.
func (c *Client) listing(ctx context.Context, verb, path string, yield func(line string) bool) error {
	err := c.listIn(ctx, verb, "", path, yield)
	var no *ftp.Error
	if !isReply(err) || !errors.As(err, &no) || no.Verb != verb || no.Code != 450 && no.Code != 550 {
		return err
	}
	if errors.Is(no.Cause(), fs.ErrPermission) {
		return err
	}
	exists := c.within(ctx, path, func() error { return nil })
	if exists == nil {
		return nil // it is there, so it is empty
	}
	if isReply(exists) {
		return err
	}
	return exists
}

// listIn lists the directory at path and yields the lines. The path is sent with the verb
// if the server is known to list it, or once a listing has shown that it does. Otherwise,
// and where the server refuses the path, the directory is listed as the current one.
func (c *Client) listIn(ctx context.Context, verb, flags, path string, yield func(line string) bool) error {
	use := c.history.use(verb)
	known := use.heeds.Load() || c.isMeasured()
	switch {
	case path == "":
		return c.lines(ctx, verb, flags, yield)
	case use.ignores.Load(), verb != "MLSD" && isPattern(path):
		return c.inside(ctx, verb, flags, path, yield)
	case !known:
		return c.proving(ctx, verb, flags, path, yield)
	}
	n := 0
	err := c.direct(ctx, verb, flags, path, func(line string) bool {
		n++
		return yield(line)
	})
	if n == 0 && isPathRefused(err) && strings.Contains(path, " ") {
		return c.otherwise(ctx, verb, flags, path, err, yield)
	}
	return err
}

// isMeasured reports whether the server is one of those that were measured, all of which
// list the path that they are given.
func (c *Client) isMeasured() bool { return c.batcher || c.features.Has(ftp.FeatureMiniftp) }

// isPattern reports whether a server may take a path in LIST or NLST for a pattern, or for
// several paths.
func isPattern(path string) bool { return strings.ContainsAny(path, "*?[]{} \\") }

// isPathRefused reports whether a server refuses a listing, perhaps because of how the path
// is spelled.
func isPathRefused(err error) bool {
	var no *ftp.Error
	return isNo(err) && errors.As(err, &no) && slices.Contains([]ftp.Code{450, 501, 550, 553}, no.Code)
}

// inside lists path as the current directory.
func (c *Client) inside(ctx context.Context, verb, flags, path string, yield func(line string) bool) error {
	return c.within(ctx, path, func() error { return c.lines(ctx, verb, flags, yield) })
}

// otherwise lists path as the current directory after the server refused with err to list
// it by its path. That error remains if this does not work either.
func (c *Client) otherwise(ctx context.Context, verb, flags, path string, err error, yield func(line string) bool) error {
	n := 0
	other := c.inside(ctx, verb, flags, path, func(line string) bool {
		n++
		return yield(line)
	})
	if n == 0 && isReply(other) {
		return err
	}
	return other
}

// direct lists path with the path as the argument. Some servers take that of LIST and NLST
// for flags or for a pattern: vsftpd does so with a directory that it can't open, and then
// lists the directory's own name. A slash at the end prevents that; servers that do not
// take a slash, or have nothing to list with it, are asked without.
func (c *Client) direct(ctx context.Context, verb, flags, path string, yield func(line string) bool) error {
	if verb == "MLSD" {
		return c.lines(ctx, verb, path, yield)
	}
	if flags != "" {
		flags += " "
	}
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	n := 0
	slashed := strings.TrimRight(path, "/") + "/"
	err := c.lines(ctx, verb, flags+slashed, func(line string) bool {
		n++
		return yield(line)
	})
	if slashed == path || n > 0 || err != nil && !isNo(err) {
		return err
	}
	return c.lines(ctx, verb, flags+path, yield)
}

// maxHeld is how many bytes of a listing wait for another one to compare it with.
const maxHeld = 8 << 20

// heldLines are the lines of a listing that is not believed yet.
type heldLines struct {
	lines []string
	room  int
}

// hold keeps a line. It reports whether there was room for it.
func (h *heldLines) hold(line string) bool {
	const header = 32 // of a string, in a slice that grows
	if h.room -= len(line) + header; h.room < 0 {
		return false
	}
	h.lines = append(h.lines, line)
	return true
}

// proving lists path at a server that may ignore it. Nothing is yielded before that is
// settled. A server that lists the current directory instead names the directory on the way
// to path. If the listing has such a name, or path is not below the current directory, the
// listing is compared with one of path as the current directory.
func (c *Client) proving(ctx context.Context, verb, flags, p string, yield func(line string) bool) error {
	was, err := "", error(nil)
	if path.IsAbs(p) {
		if was, err = c.here(ctx); err != nil && (c.dead() || ctx.Err() != nil) {
			return err
		}
	}
	step, isBelow := stepTo(was, p)
	if isBelow && step == "" { // the current directory itself
		return c.direct(ctx, verb, flags, p, yield)
	}
	use, held := c.history.use(verb), heldLines{room: maxHeld}
	err = c.direct(ctx, verb, flags, p, held.hold)
	switch {
	case errors.Is(err, errStopped): // too long to be held
		return c.inside(ctx, verb, flags, p, yield)
	case len(held.lines) == 0 && isPathRefused(err) && !saysMissing(err):
		return c.otherwise(ctx, verb, flags, p, err, yield)
	case err != nil && !someOnly(err):
	case isBelow && !strings.HasPrefix(step, ".") && !slices.ContainsFunc(held.lines, func(line string) bool { return mentions(line, step) }):
		if len(held.lines) > 0 {
			use.heeds.Store(true)
		}
	default:
		return c.comparing(ctx, verb, flags, p, held, yield)
	}
	if !held.replay(yield) {
		return errStopped
	}
	return err
}

// replay yields the lines. It reports whether yield took them all.
func (h *heldLines) replay(yield func(line string) bool) bool {
	for _, line := range h.lines {
		if !yield(line) {
			return false
		}
	}
	return true
}

// errUnproven is returned for a listing of a directory that can't be listed in another way.
var errUnproven = fmt.Errorf("%w: the server may have listed another directory than the one that it was asked for", ErrPartial)

// comparing lists path as the current directory, and compares that with what the server
// listed for the path.
func (c *Client) comparing(ctx context.Context, verb, flags, path string, held heldLines, yield func(line string) bool) error {
	was := slices.Sorted(slices.Values(held.lines))
	same, n := true, 0
	err := c.inside(ctx, verb, flags, path, func(line string) bool {
		if _, ok := slices.BinarySearch(was, line); !ok {
			same = false
		}
		n++
		return yield(line)
	})
	switch {
	case err == nil && (!same || n != len(was)):
		c.history.use(verb).ignores.Store(true)
	case n == 0 && isNo(err):
		if !held.replay(yield) {
			return errStopped
		}
		return errUnproven
	}
	return err
}

// stepTo returns the first name on the way from the directory was to the path p. isBelow
// reports whether p is was, or below it.
func stepTo(was, p string) (step string, isBelow bool) {
	if path.IsAbs(p) {
		if !path.IsAbs(was) {
			return "", false
		}
		was, p = path.Clean(was), path.Clean(p)
		switch {
		case p == was:
			return "", true
		case was == "/":
			p = p[1:]
		case strings.HasPrefix(p, was+"/"):
			p = p[len(was)+1:]
		default:
			return "", false
		}
	} else if p = path.Clean(p); p == "." {
		return "", true
	}
	step, _, _ = strings.Cut(p, "/")
	return step, step != ".."
}

// mentions reports whether a line of a listing may be about name, in any format: the name
// comes first or last, or before what a link leads to. Case is ignored. A directory itself
// and its parent do not count.
func mentions(line, name string) bool {
	line, name = strings.ToLower(strings.TrimRight(line, " /")), strings.ToLower(name)
	if strings.HasPrefix(line, "type=cdir;") || strings.HasPrefix(line, "type=pdir;") {
		return false
	}
	return line == name || strings.HasSuffix(line, " "+name) || strings.HasSuffix(line, "/"+name) ||
		strings.HasPrefix(line, name) || strings.Contains(line, " "+name+" ->")
}

// isNo reports whether err is the server's 4xx or 5xx.
func isNo(err error) bool {
	var no *ftp.Error
	return isReply(err) && errors.As(err, &no) && no.Code >= 400
}

// saysMissing reports whether the words of a refusal say that there is no such file.
func saysMissing(err error) bool { return says(err, fs.ErrNotExist) }

// says reports whether err is a refusal whose words name that cause.
func says(err, cause error) bool {
	var no *ftp.Error
	return isReply(err) && errors.As(err, &no) && errors.Is(no.Cause(), cause)
}

// within runs do with path as the current directory, and comes back.
func (c *Client) within(ctx context.Context, path string, do func() error) error {
	if path == "" {
		return do()
	}
	was, err := c.enter(ctx, path)
	if err != nil {
		return err
	}
	err = do()
	// The way back is not optional: relative paths hang on it.
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opts.Timeout)
	defer cancel()
	_, e := c.do(back, "CWD", was)
	if e == nil {
		c.cwd = was
	} else if err == nil {
		err = e
	}
	return err
}

// enter makes path the current directory, and returns which one it was before.
func (c *Client) enter(ctx context.Context, path string) (was string, err error) {
	if c.cwd != "" || !c.batches() {
		if was, err = c.here(ctx); err != nil {
			return "", err
		}
		if _, err = c.do(ctx, "CWD", path); isReply(err) {
			c.cwd = was
		}
		return was, err
	}
	replies, err := c.doAll(ctx, ftp.Command{Verb: "PWD"}, ftp.Command{Verb: "CWD", Arg: path})
	if err != nil {
		return "", err
	}
	if err = refusal("PWD", replies[0]); err == nil {
		was, err = ftp.Parse257(replies[0].Text())
	}
	no := refusal("CWD", replies[1])
	switch {
	case err != nil && no == nil: // there is no way back
		return "", c.die(err)
	case err == nil && no != nil:
		c.cwd = was
	}
	return was, firstOf(err, no)
}
