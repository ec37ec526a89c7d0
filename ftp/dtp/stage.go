package dtp

import (
	"miniftp/ftp"
)

// stageOf returns the stage that transforms the Job's bytes, or nil. To add a stage, add a case.
func stageOf(j *Job) stage {
	switch {
	case j.Type != ftp.ASCII:
		return nil
	case j.Source != nil:
		return new(toNet)
	}
	return new(fromNet)
}

// stage transforms the bytes of a file on their way to the network, or from it.
type stage interface {
	// append appends the transformed src to dst. It may hold bytes back until it has seen more.
	append(dst, src []byte) []byte
	// flush appends what was held back; the file has ended.
	flush(dst []byte) []byte
}
