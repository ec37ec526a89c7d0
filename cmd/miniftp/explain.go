package main

import (
	"io"

	"miniftp/ftp"
)

type ladder struct{ w io.Writer }

func newLadder(w io.Writer, width int) *ladder { return &ladder{w} }

func (l *ladder) Observe(ftp.Event) {}
