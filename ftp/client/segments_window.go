package client

// window writes one segment's bytes and ends it at its seam.
type window struct {
	s       *segments
	g       *segment
	head    []byte
	overlap int  // bytes that come before those that are missing
	later   bool // they can be compared only when the segment before is there
	last    bool
	wrong   error
}

func (w *window) Write(b []byte) (int, error) {
	all := len(b)
	if missing := w.overlap - len(w.head); missing > 0 {
		n := min(missing, len(b))
		w.head = append(w.head, b[:n]...)
		b = b[n:]
		if n == missing {
			if w.wrong = w.compare(); w.wrong != nil {
				return 0, w.wrong
			}
		}
	}
	if int64(len(b)) > w.g.to-w.g.pos && w.last {
		w.wrong = errOneConnection // more than the file has
		return 0, w.wrong
	}
	n, err := w.s.write(w.g, b[:min(int64(len(b)), w.g.to-w.g.pos)])
	if err == nil && w.g.pos == w.g.to && !w.last {
		err = ErrSeam
	}
	if err != nil {
		return n, err
	}
	return all, nil
}

// compare looks at the bytes that are here, too, or keeps them for check.
func (w *window) compare() error {
	if w.later {
		w.g.seam = w.head
		return nil
	}
	same, err := w.s.same(w.head, w.g.pos)
	switch {
	case err != nil:
		return err
	case same:
		return nil
	case w.g.pos == w.s.have:
		return &ResumeError{Path: w.s.local, Offset: w.g.pos, Why: "what is here is not what the server sends"}
	}
	return errOneConnection
}
