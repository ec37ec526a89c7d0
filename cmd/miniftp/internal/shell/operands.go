package shell

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
)

// The functions below turn the arguments of a line into those of a verb of the command line: remote
// names become URLs, local names stay.

// remoteEach returns the URLs of all arguments.
func remoteEach(s *session, l *call) (urls []string, err error) {
	for _, w := range l.args {
		if s.k == nil && !verb.IsURL(w.text) {
			return nil, errNotConnected
		}
		urls = append(urls, s.url(w))
	}
	return urls, nil
}

// remoteOrHere is like remoteEach; without arguments it returns the current directory.
func remoteOrHere(s *session, l *call) ([]string, error) {
	if len(l.args) == 0 {
		l.args = []word{literal(".")}
	}
	return remoteEach(s, l)
}

func getOperands(s *session, l *call) ([]string, error) {
	target := literal(".")
	named := len(l.args) == 2
	if named {
		target, l.args = l.args[1], l.args[:1]
	}
	all, err := remoteEach(s, l)
	if err != nil || !named && !l.background {
		return all, err
	}
	local, err := s.local(target, l.background)
	return append(all, local), err
}

func mgetOperands(s *session, l *call) ([]string, error) {
	all, err := remoteEach(s, l)
	if err != nil {
		return nil, err
	}
	here, err := s.local(literal("."), l.background)
	return append(all, here), err
}

func putOperands(s *session, l *call) ([]string, error) {
	if len(l.args) == 1 {
		return mputOperands(s, l)
	}
	to := l.args[1]
	l.args = l.args[:1]
	all, err := mputOperands(s, l)
	if err == nil {
		all[len(all)-1] = s.url(to)
	}
	return all, err
}

func mputOperands(s *session, l *call) (all []string, err error) {
	if s.k == nil {
		return nil, errNotConnected
	}
	home, _ := os.UserHomeDir()
	for _, w := range l.args {
		names, err := localNames(w, home)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if name == "-" && s.stdin {
				return nil, verb.Usagef("standard input already holds the lines of the script: use -c or -f for them, or send a file")
			}
			if name, err = s.local(word{text: name}, l.background); err != nil {
				return nil, err
			}
			all = append(all, name)
		}
	}
	return append(all, s.dirURL()), nil
}

// mirrorOperands returns the source and the target of mirror. Without a target, the source goes
// into a local directory of the same name; without both, the current directories are mirrored.
func mirrorOperands(s *session, l *call) ([]string, error) {
	if s.k == nil {
		return nil, errNotConnected
	}
	src, dst := literal("."), literal(".")
	switch len(l.args) {
	case 2:
		src, dst = l.args[0], l.args[1]
	case 1:
		src = l.args[0]
		dst = literal(path.Base(path.Clean(filepath.ToSlash(src.text))))
		if strings.Trim(dst.text, "./") == "" {
			dst = literal(".")
		}
	}
	here, there := dst, src
	if l.send {
		here, there = src, dst
	}
	local, err := s.local(here, l.background)
	remote := s.url(withoutGlob(there))
	if l.send {
		return []string{local, remote}, err
	}
	return []string{remote, local}, err
}

// withoutGlob returns w with its wildcards taken literally.
func withoutGlob(w word) word {
	as := literal(w.text)
	as.bare = w.bare
	return as
}

func chmodOperands(s *session, l *call) ([]string, error) {
	mode := l.args[0].text
	l.args = l.args[1:]
	urls, err := remoteEach(s, l)
	return append([]string{mode}, urls...), err
}

// mvOperands returns a URL and a plain path. A file that is moved into a directory keeps its name.
func mvOperands(s *session, l *call) ([]string, error) {
	if s.k == nil {
		return nil, errNotConnected
	}
	from, to := l.args[0], s.path(l.args[1])
	k := *s.k
	k.Ctx = s.e.Ctx
	if strings.HasSuffix(l.args[1].text, "/") || k.IsDir(to) {
		to = joinDir(to, target.Base(s.path(from)))
	}
	return []string{s.url(withoutGlob(from)), to}, nil
}
