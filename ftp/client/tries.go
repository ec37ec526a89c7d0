package client

import "context"

// tries is what several tries of one transfer share: which version of the file they move, and
// what the last one has left. The zero value is ready for the first try. It is for one
// transfer, and for one try at a time; nil remembers nothing.
type tries struct {
	begun   bool
	version version
	part    *part  // of a Download, closed
	name    string // of what an Upload writes to on the server
	bytes   int64  // that were sent there
}

// left notes what a try has left.
func (t *tries) left(v version, p *part) {
	if t != nil {
		t.begun, t.version, t.part = true, v, p
	}
}

// reopen opens what the last try of a Download has left; nil if there is nothing.
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

// sent notes what a try of an Upload has sent, and where to.
func (t *tries) sent(name string, bytes int64, v version) {
	if t == nil {
		return
	}
	if !t.begun || t.name != name || v.differs(t.version) {
		t.bytes = 0
	}
	t.begun, t.name, t.version, t.bytes = true, name, v, max(t.bytes, bytes)
}

// before returns how many bytes of a file the tries before have sent to a name; -1 if none
// was.
func (t *tries) before(name string) int64 {
	if t == nil || !t.begun || t.name != name {
		return -1
	}
	return t.bytes
}

// tried runs a try of a transfer as often as o.Retry says. again may say more about that; nil:
// nothing.
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
