package s3fs

// The rules of S3 for multipart uploads.
const (
	maxParts = 10_000
	leastPt  = 5 << 20 // of each part but the last
	maxFile  = 5 << 40
	maxCopy  = 5 << 30 // what one request copies
)

// sizes says how large parts are. Tests make them small.
type sizes struct {
	part   int64 // of the first step parts; each further step doubles it
	step   int
	most   int64 // of any part
	least  int64 // of each part but the last
	copied int64 // of parts that the store copies
	whole  int64 // of an object that is copied by one request
}

// sizesRule is the version of the rule, in the records of uploads. A rule with another version only needs to keep
// the parts of older ones, whose sizes the store knows.
const sizesRule = 1

func defaultSizes(memory int64) sizes {
	return sizes{part: 8 << 20, step: 1000, most: memory, least: leastPt, copied: 1 << 30, whole: maxCopy}
}

// of returns the size of part n, of which the first is 1.
func (s sizes) of(n int) int64 {
	size := s.part
	for range (n - 1) / s.step {
		if size*2 > s.most || size*2 > maxCopy {
			break
		}
		size *= 2
	}
	return min(size, s.most)
}

// split calls f with the parts in which the store copies the bytes from at to end.
func (s sizes) split(at, end int64, f func(at, n int64) error) error {
	for at < end {
		n := min(s.copied, end-at)
		if rest := end - at - n; rest > 0 && rest < s.least {
			n = end - at // a last part may be small, but this need not be the last
		}
		if err := f(at, n); err != nil {
			return err
		}
		at += n
	}
	return nil
}
