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
	honors  atomic.Bool // it lists the path
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

// listIn lists the directory at path and yields the lines. There are three ways:
//
//	direct    LIST path, if the server is known to list the path that it is given
//	inside    CWD path, LIST, CWD back: if it is known to ignore the path, or the path is a pattern
//	proving   LIST path, and compare, if neither is known yet
//
// If the server refuses the path, the directory is listed as the current one, too (fallBackToInside).
func (c *Client) listIn(ctx context.Context, verb, flags, path string, yield func(line string) bool) error {
	use := c.history.use(verb)
	known := use.honors.Load() || c.isMeasured()
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
		return c.fallBackToInside(ctx, verb, flags, path, err, yield)
	}
	return err
}

// isMeasured reports whether the server is one of those that were tested against. All of these list
// the path that they are given.
func (c *Client) isMeasured() bool { return c.batcher || c.features.Has(ftp.FeatureMiniftp) }

// isPattern reports whether a server may interpret a path in LIST or NLST as a pattern, or as several
// paths.
func isPattern(path string) bool { return strings.ContainsAny(path, "*?[]{} \\") }

// isPathRefused reports whether a server has refused a listing in a way that may be due to the form of
// the path.
func isPathRefused(err error) bool {
	var no *ftp.Error
	return isNo(err) && errors.As(err, &no) && slices.Contains([]ftp.Code{450, 501, 550, 553}, no.Code)
}

// inside lists path as the current directory.
func (c *Client) inside(ctx context.Context, verb, flags, path string, yield func(line string) bool) error {
	return c.within(ctx, path, func() error { return c.lines(ctx, verb, flags, yield) })
}

// fallBackToInside lists path as the current directory after the server has refused, with err, to list it by
// its path. It returns err if this fails as well.
func (c *Client) fallBackToInside(ctx context.Context, verb, flags, path string, err error, yield func(line string) bool) error {
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

// direct lists path with the path as the argument. Some servers treat the argument of LIST and NLST as
// flags or as a pattern: for a directory that it can't open, vsftpd lists the directory's own name. A
// slash at the end prevents that. If the server does not accept the slash, or lists nothing, the
// command is sent again without it.
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

// maxHeld is how many bytes of a listing are held back to compare it with another one.
const maxHeld = 8 << 20

// heldLines are the lines of a listing that is not trusted yet.
type heldLines struct {
	lines []string
	room  int
}

// hold keeps a line. It reports false if there is no room for it.
func (h *heldLines) hold(line string) bool {
	const header = 32 // memory of a string header, in a slice that grows
	if h.room -= len(line) + header; h.room < 0 {
		return false
	}
	h.lines = append(h.lines, line)
	return true
}

// proving lists path at a server that may ignore it. It yields nothing before that is decided. A server
// that lists the current directory instead lists the name of the directory on the way to path. If the
// listing has such a name, or path is not below the current directory, the listing is compared with
// one of path as the current directory.
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
	case errors.Is(err, errStopped): // too long to hold back
		return c.inside(ctx, verb, flags, p, yield)
	case len(held.lines) == 0 && isPathRefused(err) && !saysMissing(err):
		return c.fallBackToInside(ctx, verb, flags, p, err, yield)
	case err != nil && !someOnly(err): // the listing failed: return its error, below
	// A listing of the current directory would contain step, so this one is of p. Names with a dot prove
	// nothing: listings may omit them.
	case isBelow && !strings.HasPrefix(step, ".") && !slices.ContainsFunc(held.lines, func(line string) bool { return mentions(line, step) }):
		if len(held.lines) > 0 {
			use.honors.Store(true)
		}
	default:
		return c.comparing(ctx, verb, flags, p, held, yield)
	}
	if !held.replay(yield) {
		return errStopped
	}
	return err
}

// replay yields the lines. It reports whether yield accepted all of them.
func (h *heldLines) replay(yield func(line string) bool) bool {
	for _, line := range h.lines {
		if !yield(line) {
			return false
		}
	}
	return true
}

// errUnproven is returned for a listing that may be of the wrong directory, if there is no second way to
// list it.
var errUnproven = fmt.Errorf("%w: the server may have listed a different directory than the requested one", ErrPartial)

// comparing lists path as the current directory, and compares that with what the server listed for the
// path as an argument.
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

// stepTo returns the first name on the way from the directory was to the path p. isBelow reports whether
// p is was itself or below it.
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

// mentions reports whether a line of a listing may be about name, in any format: the name is first or
// last, or before the target of a link. Case is ignored. The directory itself and its parent do not
// count.
func mentions(line, name string) bool {
	line, name = strings.ToLower(strings.TrimRight(line, " /")), strings.ToLower(name)
	if strings.HasPrefix(line, "type=cdir;") || strings.HasPrefix(line, "type=pdir;") {
		return false
	}
	return line == name || strings.HasSuffix(line, " "+name) || strings.HasSuffix(line, "/"+name) ||
		strings.HasPrefix(line, name) || strings.Contains(line, " "+name+" ->")
}

// isNo reports whether err is a 4xx or 5xx reply.
func isNo(err error) bool {
	var no *ftp.Error
	return isReply(err) && errors.As(err, &no) && no.Code >= 400
}

// saysMissing reports whether the text of a refusal says that the file does not exist.
func saysMissing(err error) bool { return says(err, fs.ErrNotExist) }

// says reports whether err is a refusal whose text names the given cause.
func says(err, cause error) bool {
	var no *ftp.Error
	return isReply(err) && errors.As(err, &no) && errors.Is(no.Cause(), cause)
}

// within calls do with path as the current directory, and changes back after it.
func (c *Client) within(ctx context.Context, path string, do func() error) error {
	if path == "" {
		return do()
	}
	was, err := c.enter(ctx, path)
	if err != nil {
		return err
	}
	err = do()
	// Change back even if ctx has ended: later relative paths depend on it.
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

// enter makes path the current directory, and returns the previous one.
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
	case err != nil && no == nil: // the previous directory is unknown, so relative paths would be wrong
		return "", c.die(err)
	case err == nil && no != nil:
		c.cwd = was
	}
	return was, firstOf(err, no)
}
