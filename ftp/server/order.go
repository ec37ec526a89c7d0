package server

// sortMostAll is how many entries beyond their sort windows all listings together may keep
// for an order: a client that reads slowly keeps what was sorted for it. A listing that
// finds no room comes in the order of the disk, as one of a very large directory does.
const sortMostAll = 100_000

// keeps counts n entries beyond a sort window as kept by this listing, and reports whether
// that is within the bound on all listings.
func (l *listing) keeps(n int64) bool {
	if l.sorts == nil {
		return true
	}
	if n -= sortWindow; n < 0 {
		n = 0
	}
	more := n - l.charged
	if more > 0 && l.sorts.Load()+more > sortMostAll {
		return false
	}
	l.sorts.Add(more)
	l.charged = n
	return true
}
