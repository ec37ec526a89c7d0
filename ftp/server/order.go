package server

// sortMostAll limits the entries that all listings together keep to sort them, beyond the sort window of each.
// Without a limit many clients that read slowly could make the server keep many sorted listings. A listing that
// exceeds it comes in the order of the disk.
const sortMostAll = 100_000

// charge records that this listing keeps n entries; those beyond the sort window count. If all listings
// together would exceed the limit, it reports false and records nothing.
func (l *listing) charge(n int64) bool {
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
