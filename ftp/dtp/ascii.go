package dtp

import "bytes"

// toNet converts the line ends of a file to those of the network (RFC 959 §3.1.1.1): LF becomes CRLF,
// CRLF is not changed.
type toNet struct{ cr bool } // the last byte was a CR

func (t *toNet) append(dst, src []byte) []byte {
	for len(src) > 0 {
		i := bytes.IndexByte(src, '\n')
		if i < 0 {
			t.cr = src[len(src)-1] == '\r'
			return append(dst, src...)
		}
		dst = append(dst, src[:i]...)
		if i > 0 {
			t.cr = src[i-1] == '\r'
		}
		if t.cr {
			dst = append(dst, '\n')
		} else {
			dst = append(dst, '\r', '\n')
		}
		t.cr = false
		src = src[i+1:]
	}
	return dst
}

func (t *toNet) flush(dst []byte) []byte { return dst }

// fromNet converts the line ends of the network to those of a file: CRLF becomes LF, a CR without LF
// is not changed.
type fromNet struct{ cr bool } // a CR is held back

func (f *fromNet) append(dst, src []byte) []byte {
	for len(src) > 0 {
		if f.cr {
			f.cr = false
			if src[0] != '\n' {
				dst = append(dst, '\r')
			}
		}
		i := bytes.IndexByte(src, '\r')
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i]...)
		f.cr = true
		src = src[i+1:]
	}
	return dst
}

func (f *fromNet) flush(dst []byte) []byte {
	if f.cr {
		f.cr = false
		return append(dst, '\r')
	}
	return dst
}
