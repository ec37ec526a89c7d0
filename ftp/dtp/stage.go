package dtp

import (
	"miniftp/ftp"
)

// borrow takes a buffer to read into and, for a stage, one for what comes of it.
func borrow(st stage) (in, out *[]byte) {
	in = buffers.Get().(*[]byte)
	if st != nil {
		out = buffers.Get().(*[]byte)
	}
	return in, out
}

func giveBack(in, out *[]byte) {
	buffers.Put(in)
	if out != nil {
		buffers.Put(out)
	}
}

// stageOf is what transforms the Job's bytes on their way; nil if nothing does.
// A new stage is one more case here.
func stageOf(j *Job) stage {
	switch {
	case j.Type != ftp.ASCII:
		return nil
	case j.Source != nil:
		return new(toNet)
	}
	return new(fromNet)
}

// stage transforms bytes on their way. It appends to dst what src becomes; what
// it holds back until it has seen more, flush appends at the end.
type stage interface {
	append(dst, src []byte) []byte
	flush(dst []byte) []byte
}
