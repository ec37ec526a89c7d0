package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io/fs"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func (e *env) cat() *cli.Command {
	return &cli.Command{
		Name: "cat", Usage: "print files", ArgsUsage: "URL...", Flags: clientFlags(),
		Description: examples("Writes files to standard output, as they are.",
			"miniftp cat ftp://127.0.0.1:2121/README.md",
			"miniftp cat 'ftp://127.0.0.1:2121/logs/*.log' | grep error"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			if c.Bool("json") {
				return usagef("cat prints the files themselves: --json does not go with it")
			}
			return e.eachURL(c, c.Args().Slice(), func(k *link, r *remote, f found) error {
				if f.path == "" {
					return usagef("%s names no file", r)
				}
				return at(r.join(f.path), k.copyOut(f.path, c.Bool("ascii") || r.ascii, e.out))
			})
		},
	}
}

func (e *env) stat() *cli.Command {
	return &cli.Command{
		Name: "stat", Usage: "tell name, type, size and time", ArgsUsage: "URL...", Flags: clientFlags(),
		Description: examples("Tells what the server knows about a file or directory.",
			"miniftp stat ftp://127.0.0.1:2121/README.md",
			"miniftp stat --json ftp://127.0.0.1:2121/docs"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			var all []listed
			err := e.eachURL(c, c.Args().Slice(), func(k *link, r *remote, f found) error {
				err := k.do(func(cl *client.Client, _ int) (err error) {
					f.entry, err = cl.Stat(k.ctx, f.path)
					return err
				})
				if err != nil {
					return at(r.join(f.path), err)
				}
				it := listed{max(f.path, "/"), f.entry}
				all = append(all, it)
				if !c.Bool("json") {
					fmt.Fprint(e.out, statText(it))
				}
				return nil
			})
			if !c.Bool("json") {
				return err
			}
			if len(all) == 1 && c.NArg() == 1 {
				return firstError(err, printJSON(e.out, toJSON(all[0])))
			}
			return firstError(err, printJSON(e.out, jsonEntries(all)))
		},
	}
}

func statText(it listed) string {
	j := toJSON(it)
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-9s %s\n", name, ftp.Printable(value))
		}
	}
	line("name", it.name)
	line("type", j.Type)
	if it.Size >= 0 {
		line("size", strconv.FormatInt(it.Size, 10))
	}
	line("modified", j.Modified)
	line("mode", j.Mode)
	line("perm", j.Perm)
	line("owner", j.Owner)
	line("group", j.Group)
	line("target", j.Target)
	return b.String()
}

func (e *env) rm() *cli.Command {
	return &cli.Command{
		Name: "rm", Usage: "delete files", ArgsUsage: "URL...",
		Flags: clientFlags(&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "delete directories with all that is in them"}),
		Description: examples("Deletes files, and with -r directories.",
			"miniftp rm ftp://alice@127.0.0.1:2121/old.txt",
			"miniftp rm -r ftp://alice@127.0.0.1:2121/old-dir"),
		Action: e.onEach(1, func(c *cli.Context, k *link, cl *client.Client, f found) error {
			if f.path == "" {
				return usagef("the URL names no file")
			}
			if !c.Bool("recursive") {
				return cl.Delete(k.ctx, f.path)
			}
			return cl.RemoveAll(k.ctx, f.path)
		}),
	}
}

func (e *env) mkdir() *cli.Command {
	return &cli.Command{
		Name: "mkdir", Usage: "make directories", ArgsUsage: "URL...",
		Flags: clientFlags(&cli.BoolFlag{Name: "parents", Aliases: []string{"p"}, Usage: "make its parents too; one that exists is fine"}),
		Description: examples("Makes directories.",
			"miniftp mkdir ftp://alice@127.0.0.1:2121/inbox",
			"miniftp mkdir -p ftp://alice@127.0.0.1:2121/2026/11/22"),
		Action: e.onEach(1, func(c *cli.Context, k *link, cl *client.Client, f found) error {
			if f.path == "" {
				return usagef("the URL names no directory")
			}
			if c.Bool("parents") {
				return cl.MakeDirAll(k.ctx, f.path)
			}
			return cl.MakeDir(k.ctx, f.path)
		}),
	}
}

// onEach is the action of a verb that does one thing to everything its URLs name.
func (e *env) onEach(least int, f func(*cli.Context, *link, *client.Client, found) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := wantArgs(c, least, -1); err != nil {
			return err
		}
		var done []string
		err := e.eachURL(c, c.Args().Slice(), func(k *link, r *remote, file found) error {
			err := at(r.join(file.path), k.do(func(cl *client.Client, _ int) error { return f(c, k, cl, file) }))
			if err == nil {
				done = append(done, r.join(file.path))
			}
			return err
		})
		return e.jsonDone(c, done, err)
	}
}

// jsonDone prints, with --json, what a verb has done.
func (e *env) jsonDone(c *cli.Context, done []string, err error) error {
	if !c.Bool("json") {
		return err
	}
	if done == nil {
		done = []string{}
	}
	return firstError(err, printJSON(e.out, map[string]any{"verb": c.Command.Name, "done": done}))
}

func (e *env) mv() *cli.Command {
	return &cli.Command{
		Name: "mv", Usage: "rename a file or directory", ArgsUsage: "URL NEWPATH", Flags: clientFlags(),
		Description: examples("NEWPATH is a plain path on the same server, from the login directory if relative.",
			"miniftp mv ftp://alice@127.0.0.1:2121/draft.txt final.txt",
			"miniftp mv ftp://alice@127.0.0.1:2121/a.txt /archive/a.txt"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, 2); err != nil {
				return err
			}
			to := c.Args().Get(1)
			if isURL(to) {
				return usagef("NEWPATH is a plain path such as dir/new.txt, not a URL")
			}
			k, r, err := e.openArg(c, c.Args().First())
			if err != nil {
				return err
			}
			defer k.close()
			if r.path == "" || to == "" {
				return usagef("miniftp mv takes URL NEWPATH, and both name something")
			}
			err = at(r.String(), k.do(func(cl *client.Client, _ int) error { return cl.Rename(k.ctx, r.path, to) }))
			if err != nil {
				return e.jsonDone(c, nil, err)
			}
			return e.jsonDone(c, []string{r.join(to)}, nil)
		},
	}
}

func (e *env) chmod() *cli.Command {
	return &cli.Command{
		Name: "chmod", Usage: "set permission bits", ArgsUsage: "MODE URL...", Flags: clientFlags(),
		Description: examples("MODE is octal, as in chmod(1); the server must know SITE CHMOD.",
			"miniftp chmod 644 ftp://alice@127.0.0.1:2121/report.pdf",
			"miniftp chmod 755 'ftp://alice@127.0.0.1:2121/bin/*'"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, -1); err != nil {
				return err
			}
			mode, err := strconv.ParseUint(c.Args().First(), 8, 16)
			if err != nil || mode > 0o777 {
				return usagef("%q is not a mode such as 644 or 0755", c.Args().First())
			}
			var done []string
			err = e.eachURL(c, c.Args().Tail(), func(k *link, r *remote, f found) error {
				err := k.do(func(cl *client.Client, _ int) error { return cl.Chmod(k.ctx, f.path, fs.FileMode(mode)) })
				if err == nil {
					done = append(done, r.join(f.path))
				}
				return at(r.join(f.path), err)
			})
			return e.jsonDone(c, done, err)
		},
	}
}

func (e *env) hash() *cli.Command {
	return &cli.Command{
		Name: "hash", Usage: "print checksums", ArgsUsage: "URL...",
		Flags: clientFlags(&cli.StringFlag{Name: "algo", Usage: "`A`: SHA-256, SHA-512, SHA-1, MD5 or CRC32", Value: "SHA-256"}),
		Description: examples("The server computes it (HASH, or XSHA256 and its like); if it can't, the file is read and hashed here.\nThe lines are those of sha256sum.",
			"miniftp hash ftp://127.0.0.1:2121/README.md",
			"miniftp hash --algo md5 'ftp://127.0.0.1:2121/*.iso'"),
		Action: e.runHash,
	}
}

var hashes = map[string]func() hash.Hash{
	"SHA-256": sha256.New, "SHA-512": sha512.New, "SHA-1": sha1.New, "MD5": md5.New,
	"CRC32": func() hash.Hash { return crc32.NewIEEE() },
}

// algoName takes sha256, SHA-256 or sha_256 alike.
func algoName(s string) (string, bool) {
	plain := func(s string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToUpper(s)) }
	for name := range hashes {
		if plain(name) == plain(s) {
			return name, true
		}
	}
	return "", false
}

func (e *env) runHash(c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	algo, ok := algoName(c.String("algo"))
	if !ok {
		return usagef("--algo %q: it is SHA-256, SHA-512, SHA-1, MD5 or CRC32", c.String("algo"))
	}
	type sum struct {
		URL  string `json:"url"`
		Algo string `json:"algo"`
		Sum  string `json:"sum"`
		By   string `json:"by"` // server, or client
	}
	sums := []sum{}
	err := e.eachURL(c, c.Args().Slice(), func(k *link, r *remote, f found) error {
		digest, by, err := e.hashOne(k, f.path, algo)
		if err != nil {
			return at(r.join(f.path), err)
		}
		sums = append(sums, sum{r.join(f.path), algo, digest, by})
		if !c.Bool("json") {
			fmt.Fprintf(e.out, "%s  %s\n", digest, ftp.Printable(f.path))
		}
		return nil
	})
	if c.Bool("json") {
		return firstError(err, printJSON(e.out, sums))
	}
	return err
}

// hashOne asks the server, and reads the file where it can't answer.
func (e *env) hashOne(k *link, p, algo string) (digest, by string, err error) {
	by = "server"
	err = k.do(func(cl *client.Client, _ int) (err error) {
		_, digest, err = cl.Hash(k.ctx, p, algo)
		return err
	})
	var reply *ftp.Error
	unsupported := errors.Is(err, errors.ErrUnsupported)
	if errors.As(err, &reply) && (reply.Code == 500 || reply.Code == 501 || reply.Code == 502 || reply.Code == 504) {
		unsupported = true
	}
	if unsupported {
		by = "client"
		h := hashes[algo]()
		if err = k.copyOut(p, false, h); err == nil {
			digest = hex.EncodeToString(h.Sum(nil))
		}
	}
	return strings.ToLower(digest), by, err
}
