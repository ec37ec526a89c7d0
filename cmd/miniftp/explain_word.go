package main

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// explainWord is the value of the client's --explain: yes, no, or the file to draw in.
type explainWord struct {
	on   bool
	file string
}

func (w *explainWord) IsBoolFlag() bool { return true }

// Takes says what the value is, for an error about another one.
func (w *explainWord) Takes() string {
	return "nothing, or the name of a picture to draw: FILE.svg or FILE.html"
}

func (w *explainWord) String() string {
	if w.file != "" {
		return w.file
	}
	return strconv.FormatBool(w.on)
}

func (w *explainWord) Set(s string) error {
	switch strings.ToLower(filepath.Ext(s)) {
	case ".svg", ".html":
		*w = explainWord{file: s}
		return nil
	}
	on, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("it takes " + w.Takes())
	}
	*w = explainWord{on: on}
	return nil
}

func explainFlag() cli.Flag {
	return &cli.GenericFlag{
		Name: "explain", Value: new(explainWord), DefaultText: "false",
		Usage: "draw who listened, who dialed, and how the address was announced; with =`FILE`.svg or .html, also as a picture",
	}
}

// pictureName is the file that --explain names; "" if none.
func pictureName(c *cli.Context) string {
	if w, ok := c.Generic("explain").(*explainWord); ok {
		return w.file
	}
	return ""
}
