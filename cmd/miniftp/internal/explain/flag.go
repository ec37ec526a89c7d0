package explain

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// Word is the value of the client flag --explain: true, false, or the name of a file for the picture.
type Word struct {
	on   bool
	File string
}

// IsBoolFlag makes --explain without a value mean true.
func (w *Word) IsBoolFlag() bool { return true }

// Takes describes the allowed values, for the error about any other value.
func (w *Word) Takes() string {
	return "no value, or the name of a picture to draw: FILE.svg or FILE.html"
}

// String returns the value in the form that Set accepts.
func (w *Word) String() string {
	if w.File != "" {
		return w.File
	}
	return strconv.FormatBool(w.on)
}

// Set sets the value from a boolean or the name of a picture.
func (w *Word) Set(s string) error {
	switch strings.ToLower(filepath.Ext(s)) {
	case ".svg", ".html":
		*w = Word{File: s}
		return nil
	}
	on, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("it takes " + w.Takes())
	}
	*w = Word{on: on}
	return nil
}

// Flag returns the flag --explain of client verbs.
func Flag() cli.Flag {
	return &cli.GenericFlag{
		Name: "explain", Value: new(Word), DefaultText: "false",
		Usage: "draw each connection: which side listened, which dialed, and how the address was announced; with =`FILE`.svg or .html, also as a picture",
	}
}

// PictureName returns the name of the picture in --explain, or "" if there is none.
func PictureName(c *cli.Context) string {
	if w, ok := c.Generic("explain").(*Word); ok {
		return w.File
	}
	return ""
}
