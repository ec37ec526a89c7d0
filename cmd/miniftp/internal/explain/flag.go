package explain

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// Word is the value of the client's --explain: yes, no, or the file to draw in.
type Word struct {
	on   bool
	File string
}

// IsBoolFlag makes a bare --explain a yes.
func (w *Word) IsBoolFlag() bool { return true }

// Takes says what the value is, for an error about another one.
func (w *Word) Takes() string {
	return "nothing, or the name of a picture to draw: FILE.svg or FILE.html"
}

// String returns what Set takes.
func (w *Word) String() string {
	if w.File != "" {
		return w.File
	}
	return strconv.FormatBool(w.on)
}

// Set takes yes, no, or the name of a picture.
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
		Usage: "draw who listened, who dialed, and how the address was announced; with =`FILE`.svg or .html, also as a picture",
	}
}

// PictureName returns the file that --explain names; "" if it names none.
func PictureName(c *cli.Context) string {
	if w, ok := c.Generic("explain").(*Word); ok {
		return w.File
	}
	return ""
}
