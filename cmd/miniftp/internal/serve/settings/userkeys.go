package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// presets are the permissions that have a name.
var presets = map[string]server.Perm{"ro": server.ReadOnly, "rw": server.ReadWrite, "drop": server.DropBox}

// families are the permissions one by one, as the file calls them.
var families = []struct {
	Name string
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

// May is what a user may do, in one word or a list of families.
func (a *Account) May() string {
	if a.Word != "" {
		return a.Word
	}
	var all []string
	for _, f := range families {
		if a.Perm.Has(f.perm) {
			all = append(all, f.Name)
		}
	}
	return strings.Join(all, ", ")
}

func (a *Account) setPerm(word string) {
	a.Word, a.Perm = word, presets[word]
}

// UserKeys are the keys of [users.NAME].
var UserKeys = []struct {
	Name, Usage, Otherwise string
	set                    func(cf *Config, a *Account, raw any) error
}{
	{
		"password", "a hash of `miniftp passwd`, or the password itself", "the users file's",
		func(_ *Config, a *Account, raw any) error { return setText(&a.Password, raw) },
	},
	{"perm", "`\"ro\"`, `\"rw\"`, `\"drop\"` (upload only), or a list out of `read`, `list`, `store`, `overwrite`, `delete`, `rename`, `mkdir`, `change`", "`\"rw\"`; of anonymous `\"ro\"`", setPerms},
	{
		"root", "what the user sees: a directory or `mem://`", "the root of all", func(cf *Config, a *Account, raw any) error {
			err := setText(&a.Root, raw)
			a.Root, _ = cf.beside(a.Root).(string)
			return err
		},
	},
	{"home", "the directory after the login, below root", "`\"/\"`", func(_ *Config, a *Account, raw any) error { return setText(&a.Home, raw) }},
	{"rate-down", "bytes per second of one session, to the client: `\"2M\"`", "no limit", func(_ *Config, a *Account, raw any) error { return setRate(&a.Down, raw) }},
	{"rate-up", "bytes per second of one session, from the client", "no limit", func(_ *Config, a *Account, raw any) error { return setRate(&a.Up, raw) }},
	{
		"max-sessions", "sessions of this user at once", "no limit", func(_ *Config, a *Account, raw any) error {
			n, ok := raw.(int64)
			if !ok || n < 0 || n > 1<<30 {
				return errors.New("it is a whole number; 0 is no limit")
			}
			a.Sessions = int(n)
			return nil
		},
	},
	{
		"networks", "from which alone the user may log in", "everywhere", func(_ *Config, a *Account, raw any) error {
			list, err := texts(raw)
			if err == nil {
				a.Networks, err = Networks(list)
			}
			return err
		},
	},
	{
		"fxp", "copies from server to server, as `--fxp` allows them", "`false`", func(_ *Config, a *Account, raw any) error {
			on, ok := raw.(bool)
			if !ok {
				return errors.New("it is true or false")
			}
			a.Fxp = on
			return nil
		},
	},
	{
		"accept-upload", "doubtful ends of an upload that make a whole file all the same, as `--accept-upload` says", "those of `--accept-upload`", func(_ *Config, a *Account, raw any) error {
			list, err := texts(raw)
			if err == nil {
				a.Accept, err = Doubts(list)
			}
			return err
		},
	},
}

// doubtful are the words of --accept-upload.
var doubtful = map[string]server.Doubt{"hang-up": server.DoubtHangUp, "no-close-notify": server.DoubtNoCloseNotify}

// Doubts reads words of --accept-upload, taken apart at commas.
func Doubts(list []string) (all server.Doubt, err error) {
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
	n, err := flags.ByteRate("the rate", s)
	if s == "" || err != nil {
		return errors.New(`it is bytes per second, such as 500000, "500k" or "2M"`)
	}
	*to = n
	return nil
}

func setPerms(_ *Config, a *Account, raw any) error {
	if s, ok := raw.(string); ok && presets[s] != 0 {
		a.setPerm(s)
		return nil
	}
	list, err := texts(raw)
	known := make([]string, 0, len(families))
	for _, f := range families {
		known = append(known, f.Name)
	}
	bad := fmt.Errorf(`it is "ro", "rw", "drop", or a list out of %s`, strings.Join(known, ", "))
	if err != nil {
		return bad
	}
	if len(list) == 0 {
		return fmt.Errorf("the list is empty; %w", bad)
	}
	a.Word, a.Perm = "", 0
	for _, name := range list {
		found := false
		for _, f := range families {
			if f.Name == name {
				a.Perm |= f.perm
				found = true
			}
		}
		if !found {
			return fmt.Errorf("%s: %w", ftp.Printable(name), bad)
		}
	}
	for word, perm := range presets {
		if perm == a.Perm {
			a.Word = word
		}
	}
	return nil
}

// Networks reads networks and single addresses, taken apart at commas.
func Networks(list []string) ([]netip.Prefix, error) {
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
