// Package files implements the verbs that work on a server's files without transferring trees: ls,
// cat, stat, rm, mkdir, mv, chmod and hash.
//
// It is built on package connect.
package files

import (
	"cmp"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Ls returns the verb ls.
func Ls(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "ls", Usage: "list a directory", ArgsUsage: "URL...",
		Flags: connect.Flags(
			&cli.BoolFlag{Name: "long", Aliases: []string{"l"}, Usage: "also print type, permissions, size and time"},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "also list hidden names"},
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"R"}, Usage: "also list everything below the directory"},
			&cli.BoolFlag{Name: "directory", Aliases: []string{"d"}, Usage: "list a directory itself, not its contents"},
			&cli.BoolFlag{Name: "human", Aliases: []string{"h"}, Usage: "with -l, print sizes such as 12.8 kB"},
			&cli.StringFlag{Name: "sort", Value: "name", Usage: "sort by `KEY`: name, size (largest first) or time (newest first)"},
			&cli.BoolFlag{Name: "by-time", Aliases: []string{"t"}, Usage: "short for --sort time"},
			&cli.BoolFlag{Name: "by-size", Aliases: []string{"S"}, Usage: "short for --sort size"},
			&cli.BoolFlag{Name: "reverse", Aliases: []string{"r"}, Usage: "reverse the order"},
			&cli.BoolFlag{Name: "names", Aliases: []string{"1"}, Usage: "print only names, one a line", DefaultText: "true, unless --long is given"}),
		Description: flags.Examples("Prints one name a line; the name of a directory ends in /. Without a URL, -h means --help; with one, --human. --json prints an array of objects, one a line, in the order of the server unless a flag sorts them."+connect.Storages(),
			"miniftp ls ftp://127.0.0.1:2121/",
			"miniftp ls -lh --sort time ftp://127.0.0.1:2121/docs",
			"miniftp ls --json 'ftp://127.0.0.1:2121/*.md'"),
		Action: func(c *cli.Context) error { return runLs(e, c) },
	}
}

// listed is one line of ls: an entry and the name to print.
type listed struct {
	name string
	ftp.Entry
}

func runLs(e *verb.Env, c *cli.Context) error {
	out, err := newRows(e, c)
	if err != nil {
		return err
	}
	err = connect.EachURL(e, c, c.Args().Slice(), func(k *connect.Link, r *target.Remote, f connect.Found) error {
		name := func(it listed) string { return it.name }
		if c.NArg() > 1 && f.Entry.Type == ftp.UnknownEntry { // names are printed with their directory
			name = func(it listed) string { return below(f.Path, it) }
		}
		return verb.At(r.Join(f.Path), listOne(c, k, r, f, func(it listed) {
			it.name = name(it)
			out.add(it)
		}, out))
	})
	err = e.SayLast(err)
	out.end()
	return err
}

// listOne lists a directory, or a file by itself.
func listOne(c *cli.Context, k *connect.Link, r *target.Remote, f connect.Found, add func(listed), out *rows) error {
	if c.Bool("directory") {
		return listItself(k, f, add)
	}
	hidden := func(name string) bool { return !c.Bool("all") && strings.HasPrefix(path.Base(name), ".") }
	if f.Entry.Type != ftp.UnknownEntry && (!f.Entry.IsDir() || r.Pattern != "" && !c.Bool("recursive")) {
		if !hidden(f.Path) {
			add(listed{f.Path, f.Entry})
		}
		return nil
	}
	out.begin()
	before := out.n
	err := k.Do(func(cl *client.Client) error {
		if err := out.rewind(before); err != nil {
			return err
		}
		if c.Bool("recursive") {
			return listTree(k, cl, f.Path, add, hidden)
		}
		var bad error
		for entry, err := range cl.List(k.Ctx, f.Path) {
			switch {
			case err != nil:
				bad = verb.FirstError(bad, err)
			case !hidden(entry.Name):
				add(listed{entry.Name, entry})
			}
		}
		return bad
	})
	if out.n == before && f.Path != "" {
		if it, ok := listFile(k, f.Path); ok {
			add(it)
			return nil // listing a file may fail or list nothing
		}
	}
	return err
}

// listItself lists what a URL names, even if it is a directory.
func listItself(k *connect.Link, f connect.Found, add func(listed)) error {
	if f.Entry.Type == ftp.UnknownEntry {
		var err error
		if f.Entry, err = k.Stat(f.Path); err != nil {
			return err
		}
	}
	add(listed{cmp.Or(f.Path, "."), f.Entry})
	return nil
}

func listTree(k *connect.Link, cl *client.Client, root string, add func(listed), hidden func(string) bool) error {
	var bad error
	for entry, err := range cl.Walk(k.Ctx, root) {
		if err != nil {
			bad = verb.FirstError(bad, err)
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(entry.Path, strings.TrimRight(root, "/")), "/")
		if !hidden(name) {
			add(listed{name, entry.Entry})
		}
	}
	return bad
}

func listFile(k *connect.Link, p string) (it listed, ok bool) {
	_ = k.Do(func(cl *client.Client) error {
		entry, err := cl.Stat(k.Ctx, p)
		if err == nil && !entry.IsDir() {
			it, ok = listed{target.Base(p), entry}, true
		}
		return nil
	})
	return it, ok
}

// below returns the path of an entry listed in dir, or of a file that was listed by itself.
func below(dir string, it listed) string {
	if dir == "" || target.Base(dir) == it.name && !it.IsDir() {
		return cmp.Or(dir, it.name)
	}
	return target.Join(dir, it.name)
}

// shownAs returns the name to print; that of a directory ends in a slash.
func shownAs(e *verb.Env, it listed) string {
	name := shown(e, it.name)
	if it.IsDir() {
		name += "/"
	}
	return name
}

// shown returns a name for standard output, without control characters. If a program reads it,
// bytes that are not UTF-8 are kept.
func shown(e *verb.Env, name string) string {
	if term.IsTerminal(e.Out) || utf8.ValidString(name) {
		return ftp.Printable(name)
	}
	var b strings.Builder
	for name != "" {
		c, n := utf8.DecodeRuneInString(name)
		if c == utf8.RuneError && n == 1 {
			b.WriteByte(name[0])
		} else {
			b.WriteString(ftp.Printable(name[:n]))
		}
		name = name[n:]
	}
	return b.String()
}

// longLine returns a line of ls -l; bytes formats the size.
func longLine(e *verb.Env, it listed, bytes func(int64) string) string {
	mode := "?????????"
	if it.HasMode {
		mode = it.Mode.Perm().String()[1:]
	} else if it.Perm != "" {
		mode = fmt.Sprintf("%-9s", it.Perm)
	}
	size := ""
	if it.Size >= 0 && !it.IsDir() {
		size = bytes(it.Size)
	}
	when := ""
	if !it.Modified.IsZero() {
		when = it.Modified.UTC().Format("2006-01-02 15:04")
	}
	line := fmt.Sprintf("%s%s %13s  %-16s  %s", typeLetter(it.Entry), mode, size, when, shownAs(e, it))
	if it.Target != "" {
		line += " -> " + shown(e, it.Target)
	}
	return line
}

func typeLetter(e ftp.Entry) string {
	switch {
	case e.IsDir():
		return "d"
	case e.Type == ftp.LinkEntry:
		return "l"
	case e.Type == ftp.FileEntry:
		return "-"
	}
	return "?"
}
