package client

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"

	"miniftp/ftp"
)

// digests are the algorithms that servers have, the best first, with the verb of
// those without HASH and the length of the sum in hexadecimal digits.
var digests = []struct {
	name, verb string
	digits     int
}{
	{"SHA-256", "XSHA256", 64},
	{"SHA-512", "XSHA512", 128},
	{"SHA-1", "XSHA1", 40},
	{"MD5", "XMD5", 32},
	{"CRC32", "XCRC", 8},
}

// Hash asks for the hash of a file: by HASH where the server has it, else by
// XSHA256 and the like. algo is SHA-256, SHA-512, SHA-1, MD5 or CRC32, in any
// case and with or without the hyphen; "": the server's own choice, or the best
// that it has. One that the server has not is errors.ErrUnsupported. algorithm is the one used, sum is in lower-case hexadecimal.
func (c *Client) Hash(ctx context.Context, path, algo string) (algorithm, sum string, err error) {
	if err := c.begin(); err != nil {
		return "", "", err
	}
	defer c.end()
	if err := sendable(path, algo); err != nil {
		return "", "", err
	}
	if err := c.setType(ctx, ftp.Image); err != nil {
		return "", "", err
	}
	offered, selected := c.hashes()
	wanted := plainName(algo)
	if wanted == "" {
		wanted = plainName(selected)
	}
	guess := len(c.features) == 0 && algo != "" // no FEAT: it may have it all the same
	for _, d := range digests {
		verb := d.verb
		name, hash := offered[plainName(d.name)]
		switch {
		case wanted != "" && wanted != plainName(d.name), !hash && !guess && !c.features.Has(verb):
			continue
		case hash:
			verb = "HASH"
			if err := c.selectHash(ctx, name, selected); err != nil {
				return "", "", err
			}
		}
		r, err := c.do(ctx, verb, path)
		if err != nil {
			return "", "", err
		}
		sum, err := findSum(r, d.digits, path)
		return d.name, sum, err
	}
	if algo == "" {
		algo = "hash that is known here"
	}
	return "", "", fmt.Errorf("the server has no %s: %w", algo, errors.ErrUnsupported)
}

// hashes reads the HASH feature, "SHA-1;SHA-256*;MD5": the names it offers by
// their plain form, and the one that is selected.
func (c *Client) hashes() (offered map[string]string, selected string) {
	offered = map[string]string{}
	for name := range strings.SplitSeq(c.features["HASH"], ";") {
		name, star := strings.CutSuffix(strings.TrimSpace(name), "*")
		if star {
			selected = name
		}
		if name != "" {
			offered[plainName(name)] = name
		}
	}
	if c.hash != "" {
		selected = c.hash
	}
	return offered, selected
}

// selectHash makes name the algorithm of the next HASH.
func (c *Client) selectHash(ctx context.Context, name, selected string) error {
	if strings.EqualFold(name, selected) {
		return nil
	}
	_, err := c.do(ctx, "OPTS", "HASH "+name)
	if err == nil {
		c.hash = name
	}
	return err
}

// findSum finds the sum among the words of the reply: each server puts others
// round it, such as the path, which may look like a sum itself. A CRC may lack the zeros in
// front.
func findSum(r ftp.Reply, digits int, path string) (string, error) {
	words := strings.Fields(r.Text())
	name := ""
	for i := len(words) - 1; i >= 0; i-- {
		word := strings.TrimPrefix(strings.ToLower(words[i]), "0x")
		short := digits == crcDigits && len(word) < digits && i == len(words)-1
		if short {
			word = strings.Repeat("0", digits-len(word)) + word
		}
		if _, err := hex.DecodeString(word); err != nil || len(word) != digits {
			continue
		}
		if words[i] != path && words[i] != baseName(path) {
			return word, nil
		}
		name = word
	}
	if name != "" { // it has that very sum
		return name, nil
	}
	return "", fmt.Errorf("no hash in the server's answer: %v", r)
}

// crcDigits are those of CRC32.
const crcDigits = 8

func plainName(algo string) string { return strings.ReplaceAll(strings.ToUpper(algo), "-", "") }

// NewHash computes here what Hash asks a server for; nil if algo is none of the names
// that Hash returns.
func NewHash(algo string) hash.Hash {
	switch algo {
	case "SHA-256":
		return sha256.New()
	case "SHA-512":
		return sha512.New()
	case "SHA-1":
		return sha1.New()
	case "MD5":
		return md5.New()
	case "CRC32":
		return crc32.NewIEEE()
	}
	return nil
}
