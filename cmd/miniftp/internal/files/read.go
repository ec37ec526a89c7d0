package files

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Cat returns the verb cat.
func Cat(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "cat", Usage: "print files", ArgsUsage: "URL...", Flags: connect.Flags(),
		Description: flags.Examples("Writes files to standard output."+connect.Storages(),
			"miniftp cat ftp://127.0.0.1:2121/README.md",
			"miniftp cat 'ftp://127.0.0.1:2121/*.md' | wc -l"),
		Action: func(c *cli.Context) error {
			if c.Bool("json") {
				return verb.Usagef("cat prints the contents of files: it can't be combined with --json")
			}
			return connect.EachURL(e, c, c.Args().Slice(), func(k *connect.Link, r *target.Remote, f connect.Found) error {
				if f.Path == "" {
					return verb.Usagef("%s does not name a file", r)
				}
				_, err := k.CopyOut(f.Path, c.Bool("ascii") || r.ASCII, e.Out, nil)
				return verb.AtSide(r.Join(f.Path), "standard output", err)
			})
		},
	}
}

// Stat returns the verb stat.
func Stat(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "stat", Usage: "show name, type, size and time", ArgsUsage: "URL...", Flags: connect.Flags(),
		Description: flags.Examples("Shows what the server reports about a file or directory."+connect.Storages(),
			"miniftp stat ftp://127.0.0.1:2121/README.md",
			"miniftp stat --json ftp://127.0.0.1:2121/docs"),
		Action: func(c *cli.Context) error {
			lines, n := e.NewJSONLines(c), 0
			err := connect.EachURL(e, c, c.Args().Slice(), func(k *connect.Link, r *target.Remote, f connect.Found) error {
				var err error
				if f.Entry, err = k.Stat(f.Path); err != nil {
					return verb.At(r.Join(f.Path), err)
				}
				it := listed{cmp.Or(f.Path, "/"), f.Entry}
				lines.Result(toJSON(it))
				if n++; lines.On {
					return nil
				}
				if n > 1 {
					fmt.Fprintln(e.Out)
				}
				fmt.Fprint(e.Out, statText(e, it))
				return nil
			})
			if c.NArg() == 1 && !target.NamesSeveral(c.Args().First()) {
				return e.SayLast(err) // a single object needs no summary
			}
			return lines.End(err)
		},
	}
}

func statText(e *verb.Env, it listed) string {
	j := toJSON(it)
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-9s %s\n", name, shown(e, value))
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

// Hash returns the verb hash.
func Hash(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "hash", Usage: "print checksums", ArgsUsage: "URL...",
		Flags: connect.Flags(&cli.StringFlag{Name: "algo", Usage: "the hash algorithm `A`: SHA-256, SHA-512, SHA-1, MD5 or CRC32", Value: "SHA-256"}),
		Description: flags.Examples("The server computes the checksum (HASH, or XSHA256 and the like). If it can't, the file is fetched and hashed locally. The output has the format of sha256sum."+connect.Storages(),
			"miniftp hash ftp://127.0.0.1:2121/README.md",
			"miniftp hash --algo md5 'ftp://127.0.0.1:2121/*.md'"),
		Action: func(c *cli.Context) error { return runHash(e, c) },
	}
}

// algoName returns the name of an algorithm, which may be written as sha256, SHA-256 or sha_256.
func algoName(s string) (string, bool) {
	plain := func(s string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToUpper(s)) }
	for _, name := range flags.Words["algo"] {
		if plain(name) == plain(s) {
			return name, true
		}
	}
	return "", false
}

func runHash(e *verb.Env, c *cli.Context) error {
	algo, ok := algoName(c.String("algo"))
	if !ok {
		return verb.Usagef("--algo %q: %s", c.String("algo"), flags.OneOf("algo", strings.ToUpper(c.String("algo"))))
	}
	type sum struct {
		URL  string `json:"url"`
		Algo string `json:"algo"`
		Sum  string `json:"sum"`
		By   string `json:"by"` // server, or client
	}
	lines := e.NewJSONLines(c)
	err := connect.EachURL(e, c, c.Args().Slice(), func(k *connect.Link, r *target.Remote, f connect.Found) error {
		digest, by, err := hashOne(k, f.Path, algo)
		if err != nil {
			return verb.At(r.Join(f.Path), err)
		}
		lines.Result(sum{r.Join(f.Path), algo, digest, by})
		if !c.Bool("json") {
			fmt.Fprintf(e.Out, "%s  %s\n", digest, shown(e, cmp.Or(f.Path, "/")))
		}
		return nil
	})
	return lines.End(err)
}

// hashOne asks the server for a checksum. If the server can't compute it, hashOne reads the file.
func hashOne(k *connect.Link, p, algo string) (digest, by string, err error) {
	by = "server"
	err = k.Do(func(cl *client.Client) (err error) {
		_, digest, err = cl.Hash(k.Ctx, p, algo)
		return err
	})
	unsupported := errors.Is(err, errors.ErrUnsupported)
	if reply, ok := errors.AsType[*ftp.Error](err); ok && (reply.Code == 500 || reply.Code == 501 || reply.Code == 502 || reply.Code == 504) {
		unsupported = true
	}
	if unsupported {
		by = "client"
		h := client.NewHash(algo)
		if _, err = k.CopyOut(p, false, h, nil); err == nil {
			digest = hex.EncodeToString(h.Sum(nil))
		}
	}
	return strings.ToLower(digest), by, err
}
