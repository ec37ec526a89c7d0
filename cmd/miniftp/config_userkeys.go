package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// presets are the permissions that have a name.
var presets = map[string]server.Perm{"ro": server.ReadOnly, "rw": server.ReadWrite, "drop": server.DropBox}

// families are the permissions one by one, as the file calls them.
var families = []struct {
	name string
	perm server.Perm
}{
	{"read", server.PermRead},
	{"list", server.PermList},
	{"store", server.PermStore},
	{"overwrite", server.PermOverwrite},
	{"delete", server.PermDelete},
	{"rename", server.PermRename},
	{"mkdir", server.PermMakeDir},
	{"change", server.PermChange},
}

// may is what a user may do, in one word or a list of families.
func (a *account) may() string {
	if a.word != "" {
		return a.word
	}
	var all []string
	for _, f := range families {
		if a.perm.Has(f.perm) {
			all = append(all, f.name)
		}
	}
	return strings.Join(all, ", ")
}

func (a *account) setPerm(word string) {
	a.word, a.perm = word, presets[word]
}

// userKeys are the keys of [users.NAME].
var userKeys = []struct {
	name, usage, otherwise string
	set                    func(cf *config, a *account, raw any) error
}{
	{
		"password", "a hash of `miniftp passwd`, or the password itself", "the users file's",
		func(_ *config, a *account, raw any) error { return setText(&a.password, raw) },
	},
	{"perm", "`\"ro\"`, `\"rw\"`, `\"drop\"` (upload only), or a list out of `read`, `list`, `store`, `overwrite`, `delete`, `rename`, `mkdir`, `change`", "`\"rw\"`; of anonymous `\"ro\"`", setPerms},
	{
		"root", "what the user sees: a directory or `mem://`", "the root of all", func(cf *config, a *account, raw any) error {
			err := setText(&a.root, raw)
			a.root, _ = cf.beside(a.root).(string)
			return err
		},
	},
	{"home", "the directory after the login, below root", "`\"/\"`", func(_ *config, a *account, raw any) error { return setText(&a.home, raw) }},
	{"rate-down", "bytes per second of one session, to the client: `\"2M\"`", "no limit", func(_ *config, a *account, raw any) error { return setRate(&a.down, raw) }},
	{"rate-up", "bytes per second of one session, from the client", "no limit", func(_ *config, a *account, raw any) error { return setRate(&a.up, raw) }},
	{
		"max-sessions", "sessions of this user at once", "no limit", func(_ *config, a *account, raw any) error {
			n, ok := raw.(int64)
			if !ok || n < 0 || n > 1<<30 {
				return errors.New("it is a whole number; 0 is no limit")
			}
			a.sessions = int(n)
			return nil
		},
	},
	{
		"networks", "from which alone the user may log in", "everywhere", func(_ *config, a *account, raw any) error {
			list, err := texts(raw)
			if err == nil {
				a.networks, err = networks(list)
			}
			return err
		},
	},
	{
		"fxp", "copies from server to server, as `--fxp` allows them", "`false`", func(_ *config, a *account, raw any) error {
			on, ok := raw.(bool)
			if !ok {
				return errors.New("it is true or false")
			}
			a.fxp = on
			return nil
		},
	},
	{
		"accept-upload", "doubtful ends of an upload that make a whole file all the same, as `--accept-upload` says", "those of `--accept-upload`", func(_ *config, a *account, raw any) error {
			list, err := texts(raw)
			if err == nil {
				a.accept, err = doubts(list)
			}
			return err
		},
	},
}

// doubtful are the words of --accept-upload.
var doubtful = map[string]server.Doubt{"hang-up": server.DoubtHangUp, "no-close-notify": server.DoubtNoCloseNotify}

// doubts reads words of --accept-upload, taken apart at commas.
func doubts(list []string) (all server.Doubt, err error) {
	for _, item := range list {
		for word := range strings.SplitSeq(item, ",") {
			d, ok := doubtful[strings.TrimSpace(word)]
			if !ok {
				return 0, fmt.Errorf("%q: it is hang-up or no-close-notify", word)
			}
			all |= d
		}
	}
	return all, nil
}

func setText(to *string, raw any) error {
	s, ok := raw.(string)
	if !ok || s == "" {
		return errors.New(`it is a text, in quotes: "…"`)
	}
	*to = s
	return nil
}

func setRate(to *int64, raw any) error {
	if n, ok := raw.(int64); ok && n >= 0 {
		*to = n
		return nil
	}
	s, _ := raw.(string)
	n, err := byteRate("the rate", s)
	if s == "" || err != nil {
		return errors.New(`it is bytes per second, such as 500000, "500k" or "2M"`)
	}
	*to = n
	return nil
}

func setPerms(_ *config, a *account, raw any) error {
	if s, ok := raw.(string); ok && presets[s] != 0 {
		a.setPerm(s)
		return nil
	}
	list, err := texts(raw)
	known := make([]string, 0, len(families))
	for _, f := range families {
		known = append(known, f.name)
	}
	bad := fmt.Errorf(`it is "ro", "rw", "drop", or a list out of %s`, strings.Join(known, ", "))
	if err != nil {
		return bad
	}
	if len(list) == 0 {
		return fmt.Errorf("the list is empty; %w", bad)
	}
	a.word, a.perm = "", 0
	for _, name := range list {
		found := false
		for _, f := range families {
			if f.name == name {
				a.perm |= f.perm
				found = true
			}
		}
		if !found {
			return fmt.Errorf("%s: %w", ftp.Printable(name), bad)
		}
	}
	for word, perm := range presets {
		if perm == a.perm {
			a.word = word
		}
	}
	return nil
}

// networks reads networks and single addresses, taken apart at commas.
func networks(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, item := range list {
		for s := range strings.SplitSeq(item, ",") {
			s = strings.TrimSpace(s)
			if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
				all = append(all, netip.PrefixFrom(ip, ip.BitLen()))
				continue
			}
			n, err := netip.ParsePrefix(s)
			if err != nil {
				return nil, fmt.Errorf("%q is no network: one is written as 192.168.0.0/16, fd00::/8 or 192.0.2.7", s)
			}
			if n != n.Masked() {
				return nil, fmt.Errorf("%q names more than a network: do you mean %v, or only %v?", s, n.Masked(), n.Addr())
			}
			all = append(all, n)
		}
	}
	return all, nil
}
