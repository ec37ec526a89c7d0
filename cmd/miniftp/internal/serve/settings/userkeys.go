package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// permissions holds the names of all permissions, as they are written in the file.
var permissions = []string{"read", "list", "store", "overwrite", "delete", "rename", "mkdir", "change"}

// presets holds the named sets of permissions.
var presets = map[string][]string{"ro": {"read", "list"}, "rw": permissions, "drop": {"store"}}

// preset returns the name of the preset that equals the permissions, or "" if none does.
func (a *Account) preset() string {
	if word := May(a.Perms); presets[word] != nil {
		return word
	}
	return ""
}

// May returns what a user may do: ro, rw, drop, or a list of permissions.
func (a *Account) May() string { return May(a.Perms) }

// Writes reports whether a user may change anything.
func (a *Account) Writes() bool { return writes(a.Perms) }

// userKey is a key of [users.NAME].
type userKey struct {
	field     any // the pointer to what it sets
	name      string
	doc       string
	otherwise string // the default, for the documentation
	root      bool   // it is the root: relative to the configuration file, by default that of the server
	lifts     ftp.Reason
	set       func(raw any) error
	shown     func() any // the value for config show, or nil to leave the key out
}

// mountsKey is the key of the table of mounts in that of a user.
const mountsKey = "mounts"

// userKeys returns the keys of [users.NAME], which set the fields of a.
func userKeys(a *Account) []userKey {
	return []userKey{
		{field: &a.Password, name: "password", set: setText(&a.Password), shown: a.shownPassword, doc: "a hash of `miniftp passwd`, or the password itself", otherwise: "the one in the users file"},
		{field: &a.Group, name: "group", set: setText(&a.Group), shown: unlessZero(&a.Group), doc: "the group of the user: its keys, in `[groups.NAME]`, are the defaults for those that the user does not have", otherwise: "none"},
		{field: &a.Perms, name: "perm", lifts: ftp.ReasonPermission, set: setPerms(&a.Perms), shown: func() any { return a.May() }, doc: "`\"ro\"`, `\"rw\"`, `\"drop\"` (upload only), or a list of `" + strings.Join(permissions, "`, `") + "`", otherwise: "`\"rw\"`; for anonymous `\"ro\"`"},
		{field: &a.Root, name: "root", root: true, set: setText(&a.Root), doc: "what the user sees: a directory or another storage, as in the `root` of the server; `{user}` and `{group}` in it are replaced by the names of the user and the group", otherwise: "the `root` of the server"},
		{field: &a.Home, name: "home", lifts: ftp.ReasonHome, set: setText(&a.Home), shown: unlessZero(&a.Home), doc: "the directory in which a session begins, below root", otherwise: "`\"/\"`"},
		{field: &a.Down, name: "rate-down", set: setRate(&a.Down), shown: unlessZero(&a.Down), doc: "limit in bytes per second of one session, to the client: `\"2M\"`", otherwise: "no limit"},
		{field: &a.Up, name: "rate-up", set: setRate(&a.Up), shown: unlessZero(&a.Up), doc: "limit in bytes per second of one session, from the client", otherwise: "no limit"},
		{field: &a.Sessions, name: "max-sessions", lifts: ftp.ReasonSessionsPerUser, set: a.setSessions, shown: unlessZero(&a.Sessions), doc: "how many sessions the user may have at once", otherwise: "no limit"},
		{field: &a.Quota, name: "quota", set: setBytes(&a.Quota), shown: unlessZero(&a.Quota), doc: "how many bytes the files below root, without mounts, may have together: `\"10G\"`, `\"500MiB\"`", otherwise: "no limit"},
		{field: &a.QuotaFiles, name: "quota-files", set: setCount(&a.QuotaFiles), shown: unlessZero(&a.QuotaFiles), doc: "how many files may be below root, without mounts", otherwise: "no limit"},
		{field: &a.Networks, name: "networks", set: a.setNetworks, shown: unlessEmpty(&a.Networks), doc: "the only networks from which the user may log in", otherwise: "everywhere"},
		{field: &a.Expires, name: "expires", lifts: ftp.ReasonExpired, set: a.setExpires, shown: a.shownExpires, doc: "the last day on which the user can log in (`2027-01-31`), or the time at which the account ends (`2027-01-31T18:00:00Z`; without a zone it is local)", otherwise: "never"},
		{field: &a.Umask, name: "umask", set: a.setUmask, shown: unlessZero(&a.umask), doc: "the permission bits that new files and directories lose, in addition to those of the umask of the server: `\"027\"`; clients can only add to it (SITE UMASK)", otherwise: "none"},
		{field: &a.FXP, name: "fxp", set: toggle(&a.FXP).setFile, shown: unlessZero(&a.FXP), doc: "whether the user may copy files from server to server, as with `--fxp`", otherwise: "`false`"},
		{field: &a.Mounts, name: mountsKey, set: func(any) error {
			return errors.New(`is a table: write "/DIRECTORY" = "ROOT:PERM" in it`)
		}, shown: func() any { return nil }, doc: "a table of other storages, which the user sees at directories; see below", otherwise: "none"},
		{field: &a.Accept, name: "accept-upload", set: a.setAccept, shown: unlessEmpty(&a.Accept), doc: "doubtful ends of an upload after which the file counts as complete, in addition to `--accept-upload`", otherwise: "none"},
		{field: &a.Compat, name: compat, set: a.setCompat, shown: unlessZero(&a.Compat), doc: "the kind of client to adapt to: `\"device\"` for cameras, scanners and the like (docs/devices.md), or `\"none\"`", otherwise: "that of `--compat`"},
	}
}

// shownPassword returns what config show prints for the password.
func (a *Account) shownPassword() any {
	switch {
	case a.Anyone:
		return "any"
	case a.Password != "":
		return "****"
	}
	return nil
}

// unlessZero and unlessEmpty return a function for userKey.shown: it returns the value of a field, or nil
// if it is not set.
func unlessZero[T comparable](at *T) func() any {
	return func() any {
		if *at == *new(T) {
			return nil
		}
		return *at
	}
}

func unlessEmpty[T any](at *[]T) func() any {
	return func() any {
		if len(*at) == 0 {
			return nil
		}
		all := make([]string, len(*at))
		for i, v := range *at {
			all[i] = fmt.Sprint(v)
		}
		return all
	}
}

func setText(to *string) func(raw any) error {
	return func(raw any) error {
		s, ok := raw.(string)
		if !ok || s == "" {
			return errors.New(`must be a text in quotes: "…"`)
		}
		*to = s
		return nil
	}
}

func setRate(to *int64) func(raw any) error {
	return func(raw any) error {
		if n, ok := raw.(int64); ok && n >= 0 {
			*to = n
			return nil
		}
		s, _ := raw.(string)
		n, err := flags.ByteRate("the rate", s)
		if s == "" || err != nil {
			return errors.New(`must be a number of bytes per second, such as 500000, "500k" or "2M"`)
		}
		*to = n
		return nil
	}
}

func setBytes(to *int64) func(raw any) error {
	return func(raw any) error {
		if n, ok := raw.(int64); ok && n >= 0 {
			*to = n
			return nil
		}
		s, _ := raw.(string)
		n, err := flags.ParseSize(s, 1000)
		if s == "" || err != nil {
			return errors.New(`must be a number of bytes, such as 500000, "500M" or "10GiB"; 0 means no limit`)
		}
		*to = n
		return nil
	}
}

func setCount(to *int64) func(raw any) error {
	return func(raw any) error {
		n, ok := raw.(int64)
		if !ok || n < 0 {
			return errors.New("must be a whole number; 0 means no limit")
		}
		*to = n
		return nil
	}
}

func (a *Account) setSessions(raw any) error {
	n, ok := raw.(int64)
	if !ok || n < 0 || n > 1<<30 {
		return errors.New("must be a whole number; 0 means no limit")
	}
	a.Sessions = int(n)
	return nil
}

func (a *Account) setNetworks(raw any) error {
	list, err := readTexts(raw)
	if err == nil {
		a.Networks, err = Networks(list)
	}
	return err
}

func (a *Account) setAccept(raw any) error {
	list, err := readTexts(raw)
	if err != nil {
		return err
	}
	for _, word := range Words(list) {
		if !slices.Contains(doubts, word) {
			return fmt.Errorf("%q: %s", word, flags.OneOf(acceptUpload, word))
		}
	}
	a.Accept = Words(list)
	return nil
}

func (a *Account) setCompat(raw any) error {
	word, _ := raw.(string)
	if !slices.Contains(flags.Words[compat], word) {
		return fmt.Errorf("%q: %s", word, flags.OneOf(compat, word))
	}
	a.Compat = word
	return nil
}

// setUmask reads an octal number. The server itself is the owner of files, so the umask can't take permissions of the owner.
func (a *Account) setUmask(raw any) error {
	s, _ := raw.(string)
	mask, err := strconv.ParseUint(s, 8, 16)
	if err != nil || mask > 0o77 {
		return errors.New(`must be an octal number from "000" to "077", in quotes: it can't take permissions of the owner`)
	}
	a.Umask, a.umask = fs.FileMode(mask), fmt.Sprintf("%03o", mask)
	return nil
}

// NewDirMode returns the mode for the directory of a root that is made at a login.
func (a *Account) NewDirMode() fs.FileMode {
	if a.umask == "" {
		return 0o750 // other users of the host can't look into it
	}
	return 0o777 &^ a.Umask
}

func setPerms(to *[]string) func(raw any) error {
	return func(raw any) error {
		if s, ok := raw.(string); ok && presets[s] != nil {
			*to = presets[s]
			return nil
		}
		list, err := readTexts(raw)
		bad := fmt.Errorf(`must be "ro", "rw", "drop" or a list of %s`, strings.Join(permissions, ", "))
		if err != nil {
			return bad
		}
		if len(list) == 0 {
			return fmt.Errorf("empty list: %w", bad)
		}
		for _, name := range list {
			if !slices.Contains(permissions, name) {
				return fmt.Errorf("%s: %w", ftp.Printable(name), bad)
			}
		}
		*to = slices.DeleteFunc(slices.Clone(permissions), func(perm string) bool { return !slices.Contains(list, perm) })
		return nil
	}
}

// Networks parses networks and single addresses, separated by commas.
func Networks(list []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, s := range Words(list) {
		if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
			all = append(all, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		n, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network: write one as 192.168.0.0/16, fd00::/8 or 192.0.2.7", s)
		}
		if n != n.Masked() {
			return nil, fmt.Errorf("%q has bits set after its prefix: did you mean the network %v or the address %v?", s, n.Masked(), n.Addr())
		}
		all = append(all, n)
	}
	return all, nil
}
