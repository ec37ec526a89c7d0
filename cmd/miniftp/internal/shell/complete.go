package shell

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// completer finds what a word of a line may become. It knows names only by asking.
type completer struct {
	verbs  map[string]*shellVerb
	flags  func(verb string) []string
	remote func(dir string) []listedName // of a directory as it was typed
	local  func(dir string) []listedName
}

// listedName is one name in a directory.
type listedName struct {
	name string
	dir  bool
}

// complete returns what the word that ends at pos, in characters, may become, and what
// stands before and behind it.
func (c *completer) complete(line string, pos int) (head string, all []string, tail string) {
	chars := []rune(line)
	before, tail := string(chars[:pos]), string(chars[pos:])
	l := &lexer{line: before}
	if err := l.split(); err != nil || l.over {
		return before, nil, tail
	}
	part := word{from: len(before), to: len(before), bare: true}
	words := l.now.words
	if n := len(words); n > 0 && words[n-1].to == len(before) {
		part, words = words[n-1], words[:n-1]
	}
	return before[:part.from], c.word(words, part, l.open), tail
}

// word completes one word behind others.
func (c *completer) word(before []word, part word, quote rune) []string {
	if len(before) == 0 {
		return withBlank(startingWith(slices.Sorted(maps.Keys(c.verbs)), part.text))
	}
	v := c.verbs[before[0].text]
	if v == nil {
		return nil
	}
	if v.cli != "" && part.bare && strings.HasPrefix(part.text, "-") {
		return withBlank(startingWith(c.flags(v.cli), part.text))
	}
	args, turned := 0, false
	for _, w := range before[1:] {
		if w.isFlag() {
			turned = turned || w.text == "-R"
		} else {
			args++
		}
	}
	switch kind := v.completes[min(args, len(v.completes)-1)]; {
	case kind == 'v':
		return withBlank(startingWith(slices.Sorted(maps.Keys(c.verbs)), part.text))
	case kind == 'o':
		return withBlank(startingWith([]string{"off", "on"}, part.text))
	case kind == 't':
		return withBlank(startingWith([]string{"ascii", "binary"}, part.text))
	case strings.IndexByte("rd", kind) >= 0 && !turned, strings.IndexByte("lm", kind) >= 0 && turned && v.cli == "mirror":
		return pathsFor(c.remote, part, quote, kind == 'd' || turned)
	case strings.IndexByte("lmrd", kind) >= 0:
		return pathsFor(c.local, part, quote, kind == 'm' || turned)
	}
	return nil
}

func startingWith(words []string, head string) (all []string) {
	for _, w := range words {
		if strings.HasPrefix(w, head) {
			all = append(all, w)
		}
	}
	return all
}

// withBlank ends the only word there is: the next one may be typed at once.
func withBlank(words []string) []string {
	if len(words) == 1 {
		words[0] += " "
	}
	return words
}

// pathsFor completes a path by what is listed in its directory.
func pathsFor(list func(dir string) []listedName, part word, quote rune, onlyDirs bool) (all []string) {
	dir, start := "", part.text
	if i := strings.LastIndexByte(start, '/'); i >= 0 {
		dir, start = start[:i+1], start[i+1:]
	}
	var found []listedName
	for _, n := range list(dir) {
		hidden := strings.HasPrefix(n.name, ".") && !strings.HasPrefix(start, ".")
		if strings.HasPrefix(n.name, start) && !hidden && (n.dir || !onlyDirs) && typeable(n.name) {
			found = append(found, n)
		}
	}
	slices.SortFunc(found, func(a, b listedName) int { return strings.Compare(a.name, b.name) })
	home := ""
	if part.bare && strings.HasPrefix(dir, "~/") {
		home, dir = "~/", dir[2:]
	}
	for _, n := range found {
		name := dir + n.name
		if n.dir {
			name += "/"
		}
		last := len(found) == 1 && !n.dir
		name = home + quoteWord(name, quote, last)
		if last {
			name += " "
		}
		all = append(all, name)
	}
	return all
}

// completer is the one of this shell.
func (s *session) completer() *completer {
	return &completer{verbs: s.verbs, flags: s.flagNames, remote: s.remoteNames, local: localListing}
}

// flagNames returns the flags that a line may have.
func (s *session) flagNames(verb string) (all []string) {
	for _, f := range s.commandLine(verb).Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && d != nil && !connectionFlags[f.Names()[0]] {
			all = append(all, "--"+f.Names()[0])
		}
	}
	slices.Sort(all)
	return all
}

func localListing(dir string) (all []listedName) {
	home, _ := os.UserHomeDir()
	at := localName(word{text: dir, bare: true}, home)
	if at == "" {
		at = "."
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		isDir := e.IsDir()
		if e.Type()&os.ModeSymlink != 0 {
			if to, err := os.Stat(filepath.Join(at, e.Name())); err == nil {
				isDir = to.IsDir()
			}
		}
		all = append(all, listedName{e.Name(), isDir})
	}
	return all
}

// listings are directories of the server that Tab has listed, for a short while.
type listings struct {
	mu   sync.Mutex
	dirs map[string]listing
}

type listing struct {
	names []listedName
	at    time.Time
}

// Tab waits no longer than this for a listing, believes it for so long, and reads no
// more names of it.
const (
	tabPatience = 3 * time.Second
	tabMemory   = 10 * time.Second
	tabNames    = 20_000
)

func (l *listings) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirs = nil
}

func (l *listings) find(dir string) ([]listedName, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.dirs[dir]
	return found.names, ok && time.Since(found.at) < tabMemory
}

func (l *listings) put(dir string, names []listedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dirs == nil || len(l.dirs) > 20 {
		l.dirs = map[string]listing{}
	}
	l.dirs[dir] = listing{names, time.Now()}
}

// remoteNames lists a directory of the server. What goes wrong is kept quiet: somebody
// types.
func (s *session) remoteNames(dir string) (all []listedName) {
	if s.k == nil {
		return nil
	}
	dir = joinDir(s.dir, dir)
	if all, ok := s.listings.find(dir); ok {
		return all
	}
	ctx, cancel := context.WithTimeout(s.e.Ctx, tabPatience)
	defer cancel()
	err := s.k.Pool.Do(ctx, func(cl *client.Client) error {
		for e, err := range cl.List(ctx, dir) {
			if errors.As(err, new(*ftp.LineError)) || errors.As(err, new(*client.NameError)) {
				continue
			}
			if err != nil {
				return err
			}
			if all = append(all, listedName{e.Name, e.IsDir() || e.Type == ftp.LinkEntry}); len(all) == tabNames {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil
	}
	s.listings.put(dir, all)
	return all
}
