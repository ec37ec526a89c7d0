package main

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func hashCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "hash", Usage: "print checksums", ArgsUsage: "URL...",
		Flags: clientFlags(&cli.StringFlag{Name: "algo", Usage: "the hash `A`: SHA-256, SHA-512, SHA-1, MD5 or CRC32", Value: "SHA-256"}),
		Description: examples("The server computes it (HASH, or XSHA256 and its like); if it can't, the file is read and hashed here. The lines are those of sha256sum.",
			"miniftp hash ftp://127.0.0.1:2121/README.md",
			"miniftp hash --algo md5 'ftp://127.0.0.1:2121/*.md'"),
		Action: e.runHash,
	}
}

// algoName takes sha256, SHA-256 or sha_256 alike.
func algoName(s string) (string, bool) {
	plain := func(s string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToUpper(s)) }
	for _, name := range flagWords["algo"] {
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
		return usagef("--algo %q: %s", c.String("algo"), itIs("algo", strings.ToUpper(c.String("algo"))))
	}
	type sum struct {
		URL  string `json:"url"`
		Algo string `json:"algo"`
		Sum  string `json:"sum"`
		By   string `json:"by"` // server, or client
	}
	lines := e.newJSONLines(c)
	err := e.eachURL(c, c.Args().Slice(), func(k *link, r *remote, f found) error {
		digest, by, err := e.hashOne(k, f.path, algo)
		if err != nil {
			return at(r.join(f.path), err)
		}
		lines.result(sum{r.join(f.path), algo, digest, by})
		if !c.Bool("json") {
			fmt.Fprintf(e.out, "%s  %s\n", digest, e.shown(cmp.Or(f.path, "/")))
		}
		return nil
	})
	return lines.end(err)
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
		h := client.NewHash(algo)
		if _, err = k.copyOut(p, false, h, nil); err == nil {
			digest = hex.EncodeToString(h.Sum(nil))
		}
	}
	return strings.ToLower(digest), by, err
}
