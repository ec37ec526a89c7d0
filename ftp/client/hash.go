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

// digests are the algorithms that servers support, the best first, with the command of servers without
// HASH and the length of the hash in hexadecimal digits.
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

// Hash asks the server for the hash of a file, by HASH if it supports that, else by XSHA256 and the like.
// algo is SHA-256, SHA-512, SHA-1, MD5 or CRC32, in any case, with or without the hyphen. "" means the
// server's choice or the best that it supports. If the server does not support algo, the error matches
// errors.ErrUnsupported. Hash returns the algorithm used, and the hash in lower-case hexadecimal.
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
	guess := len(c.features) == 0 && algo != "" // no FEAT: the server may still support it
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
		algo = "hash that this program supports"
	}
	return "", "", fmt.Errorf("the server supports no %s: %w", algo, errors.ErrUnsupported)
}

// hashes parses the HASH feature, "SHA-1;SHA-256*;MD5". It returns the offered names by their plain form,
// and the selected one.
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

// findSum finds the hash among the words of the reply. Servers add other words, such as the path, which
// may look like a hash itself. A CRC may lack leading zeros.
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
	if name != "" { // the file is named after its own hash
		return name, nil
	}
	return "", fmt.Errorf("no hash in the server's reply: %v", r)
}

// crcDigits is the number of hexadecimal digits of a CRC32.
const crcDigits = 8

func plainName(algo string) string { return strings.ReplaceAll(strings.ToUpper(algo), "-", "") }

// NewHash returns a new hash.Hash for an algorithm, named as by Hash. It returns nil for any other name.
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
