package client

import "context"

// tries is the state that the tries of one transfer share: the version of the file they move, and
// what the last one left. The zero value is ready for the first try. Only one try may use it at a
// time. A nil *tries remembers nothing.
type tries struct {
	begun   bool
	version version
	part    *part  // the partial file of a Download, closed
	name    string // the name on the server that an Upload writes to
	bytes   int64  // bytes sent there
}

// left records what a try has left.
func (t *tries) left(v version, p *part) {
	if t != nil {
		t.begun, t.version, t.part = true, v, p
	}
}

// reopen opens the partial file that the last try of a Download left. It returns nil if there is
// none, or if the file is not the same any more.
func (t *tries) reopen() *part {
	if t == nil || t.part == nil {
		return nil
	}
	was := t.part
	p, err := openPart(was.fsys, was.name, was.final, was.perms)
	if err != nil {
		return nil
	}
	if !sameFile(p.info, was.info) {
		p.close()
		return nil
	}
	return p
}

// sent records how much a try of an Upload has sent, and to which name.
func (t *tries) sent(name string, bytes int64, v version) {
	if t == nil {
		return
	}
	if !t.begun || t.name != name || v.differs(t.version) {
		t.bytes = 0
	}
	t.begun, t.name, t.version, t.bytes = true, name, v, max(t.bytes, bytes)
}

// before returns how many bytes earlier tries have sent to a name, -1 if no try has used it.
func (t *tries) before(name string) int64 {
	if t == nil || !t.begun || t.name != name {
		return -1
	}
	return t.bytes
}

// tried runs try until it succeeds or o.Retry gives up. again, if not nil, may rule out further
// tries.
func (o FileOptions) tried(ctx context.Context, again func(error) bool, try func(o FileOptions) (Result, error)) (res Result, err error) {
	r := o.Retry
	if again != nil {
		r.Again = func(err error) bool { return again(err) && o.Retry.again(err) }
	}
	if o.tries == nil && r.Times > 0 {
		o.tries = new(tries)
	}
	err = r.Do(ctx, func(int) (err error) {
		res, err = try(o)
		return err
	})
	return res, err
}
