package shell

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// completer finds the completions of a word of a line. It gets all names from its functions.
type completer struct {
	verbs  map[string]*shellVerb
	flags  func(verb string) []string
	remote func(dir string) []listedName // lists a directory, whose name is as typed
	local  func(dir string) []listedName
}

// listedName is one name in a directory.
type listedName struct {
	name string
	dir  bool
}

// complete returns the completions of the word that ends at pos, which counts characters, and the
// text before and after that word.
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

// word returns the completions of part, a word that follows the words in before.
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
	args, reverse := 0, false
	for _, w := range before[1:] {
		if w.isFlag() {
			reverse = reverse || w.text == "-R"
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
	case strings.IndexByte("rd", kind) >= 0 && !reverse, strings.IndexByte("lm", kind) >= 0 && reverse && v.cli == "mirror":
		return pathsFor(c.remote, part, quote, kind == 'd' || reverse)
	case strings.IndexByte("lmrd", kind) >= 0:
		return pathsFor(c.local, part, quote, kind == 'm' || reverse)
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

// withBlank adds a blank to the only completion, so that the next word can be typed at once.
func withBlank(words []string) []string {
	if len(words) == 1 {
		words[0] += " "
	}
	return words
}

// pathsFor completes a path with the names in its directory.
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

// completer returns the completer of this shell.
func (s *session) completer() *completer {
	return &completer{verbs: s.verbs, flags: s.flagNames, remote: s.remoteNames, local: localListing}
}

// flagNames returns the flags that a line with this verb may have.
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
			if to, err := os.Stat(local.Join(at, e.Name())); err == nil {
				isDir = to.IsDir()
			}
		}
		all = append(all, listedName{e.Name(), isDir})
	}
	return all
}

// listings caches directories of the server that Tab has listed.
type listings struct {
	mu   sync.Mutex
	dirs map[string]listing
}

type listing struct {
	names []listedName
	at    time.Time
}

// For a listing, Tab waits at most tabTimeout. It uses the listing for tabCacheTime, and reads at
// most tabNames names of it.
const (
	tabTimeout   = 3 * time.Second
	tabCacheTime = 10 * time.Second
	tabNames     = 20_000
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
	return found.names, ok && time.Since(found.at) < tabCacheTime
}

func (l *listings) put(dir string, names []listedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dirs == nil || len(l.dirs) > 20 {
		l.dirs = map[string]listing{}
	}
	l.dirs[dir] = listing{names, time.Now()}
}

// remoteNames lists a directory of the server. It returns no names on any error: a message would
// disturb the line that is being typed.
func (s *session) remoteNames(dir string) (all []listedName) {
	if s.k == nil {
		return nil
	}
	dir = joinDir(s.dir, dir)
	if all, ok := s.listings.find(dir); ok {
		return all
	}
	ctx, cancel := context.WithTimeout(s.e.Ctx, tabTimeout)
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
