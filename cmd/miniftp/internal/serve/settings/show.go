package settings

import (
	"miniftp/cmd/miniftp/internal/users"
	"miniftp/ftp"
)

// Shown is one line of config show.
type Shown struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	From  string `json:"from"`

	Otherwise string `json:"-"` // what having no value means
}

// Show returns all settings and users in the order of the file, with passwords masked.
func (cf *Config) Show() (all []Shown) {
	for _, s := range cf.all {
		one := Shown{Key: s.key(), Value: s.value.shown(), From: s.from(cf)}
		if list, ok := one.Value.([]string); ok { // a fresh copy
			for i := range list {
				list[i] = ftp.MaskURL(list[i])
			}
		}
		switch {
		case s.argument:
			one.Value = ftp.MaskURL(cf.Root)
		case s.by == ByDefault && s.value.field() != any(&cf.Listen): // --listen-tls may have replaced its default
			one.Otherwise = s.otherwise
		}
		all = append(all, one)
	}
	for _, a := range cf.Users {
		for _, k := range userKeys(a) {
			var v any
			if k.root {
				v = ftp.MaskURL(cf.RootOf(a))
			} else {
				v = k.shown()
			}
			if v != nil {
				all = append(all, Shown{Key: "users." + users.QuotedKey(a.Name) + "." + k.name, Value: v, From: cf.UserFrom(a, k.field)})
			}
		}
		all = append(all, cf.showMounts(a)...)
	}
	return all
}

// from returns where the value comes from, for people to read.
func (s *setting) from(cf *Config) string {
	switch s.by {
	case ByFile:
		return cf.file.place(s.line)
	case ByDefault:
		return "default"
	}
	return cf.Word(s.value.field())
}
