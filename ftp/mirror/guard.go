package mirror

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/kept"
	"miniftp/ftp/pi"
)

// This file decides what a mirror may delete. Nothing is deleted in a directory unless both sides listed
// it completely (visit.complete, listing.noDst). A server that may have listed another directory returns
// ErrPartial (client/list_where.go).
//
// Other reasons not to delete or to visit a directory:
//
//	spellings      the source has the name in another spelling, such as other case
//	isSource       a directory to delete is the source itself, under another name of the server
//	isDestination  a directory of the source is the destination, and would be copied into itself
//	unlink         a directory may be a link: it is removed as such, not emptied
//
// isSource and isDestination compare names first. Only if these agree they create a probe file on one side
// and look for it on the other.

var (
	// errIsSource is returned for a directory at the destination that is the source.
	errIsSource = errors.New("not deleted: it is the source of this mirror")
	// errIsDestination is returned for a directory of the source that is the destination.
	errIsDestination = errors.New("left out: it is the destination of this mirror")
	// errLooksLikeDestination is returned by a dry run, which creates no probe file.
	errLooksLikeDestination = errors.New("left out: by its names, sizes and times it may be the destination of this mirror; a real run creates a file at the destination to find out")
	// errMayBeSource is returned for a directory at the destination that may be the source.
	errMayBeSource = errors.New("not deleted: it looks like the source of this mirror, and no file can be created in it to find out")
	// errLooksLikeSource is returned by a dry run, which creates no probe file.
	errLooksLikeSource = errors.New("not deleted: by its names, sizes and times it may be the source of this mirror; a real run creates a file in it to find out")
)

// extraneous removes the names that the source does not have.
func (v *visit) extraneous() {
	var spelled *spellings
	for i := range v.l.dst.Len() {
		e, ok := v.m.entry(v.l.dst, i)
		if !ok || client.IsPart(e.Name) || v.ctx.Err() != nil || v.l.from.Hides && strings.HasPrefix(e.Name, ".") {
			continue
		}
		if _, ok := v.m.find(v.l.src, e.Name); ok || !v.m.selected(v.at(e.Name), &e) {
			continue
		}
		if spelled == nil {
			spelled = v.m.spellingsOf(v.l)
		}
		if spelled.has(e.Name) {
			v.m.report(v.ctx, Action{Kind: LeaveOut, Path: v.at(e.Name), Why: "the source has a name that only differs in its spelling"})
			continue
		}
		v.m.removeAll(v.ctx, v.at(e.Name), &e, 0)
	}
}

// spellings holds the names of a directory of the source that the destination does not have, folded: without
// the differences that systems may introduce.
type spellings struct {
	seed   maphash.Seed
	folded []uint64 // sorted
}

func (m *mirror) spellingsOf(l *listing) *spellings {
	s := &spellings{seed: maphash.MakeSeed()}
	for i := range l.src.Len() {
		e, _ := m.entry(l.src, i)
		name := e.Name
		if _, there := m.find(l.dst, name); !there {
			s.folded = append(s.folded, s.of(name), s.of(withoutColumn(name)))
		}
	}
	slices.Sort(s.folded)
	s.folded = slices.Compact(s.folded)
	return s
}

func (s *spellings) of(name string) uint64 { return maphash.String(s.seed, fold(name)) }

// has reports whether the source has a name that may be the same. Some systems change the case or the form
// of accents, and a listing that is misread may add blanks or a column.
func (s *spellings) has(name string) bool {
	for _, name := range [...]string{name, withoutColumn(name)} {
		if _, ok := slices.BinarySearch(s.folded, s.of(name)); ok {
			return true
		}
	}
	return false
}

// fold returns a name without the differences that systems ignore: case, the form of accents (NFC or NFD),
// and blanks at either end.
func fold(name string) string {
	return strings.ToLower(norm.NFC.String(strings.ToUpper(norm.NFC.String(strings.TrimSpace(name)))))
}

// withoutColumn returns a name without a leading year, time or other number, which may be a column of the
// listing.
func withoutColumn(name string) string {
	column, rest, ok := strings.Cut(strings.TrimSpace(name), " ")
	if rest = strings.TrimSpace(rest); ok && rest != "" && strings.Trim(column, "0123456789:.") == "" {
		return rest
	}
	return name
}

// sameName returns the entry at the destination that a name of the source refers to although it is spelled
// differently there. That happens if the file system ignores the difference.
func (v *visit) sameName(name string) (ftp.Entry, bool) {
	if v.others == nil {
		v.seed, v.others = maphash.MakeSeed(), map[uint64]int{}
		for i := range v.l.dst.Len() {
			e, _ := v.m.entry(v.l.dst, i)
			if _, ok := v.m.find(v.l.src, e.Name); !ok {
				v.others[maphash.String(v.seed, fold(e.Name))] = i
			}
		}
	}
	i, ok := v.others[maphash.String(v.seed, fold(name))]
	if !ok {
		return ftp.Entry{}, false
	}
	e, ok := v.m.entry(v.l.dst, i)
	if !ok || fold(e.Name) != fold(name) {
		return ftp.Entry{}, false
	}
	if _, err := v.m.dst.look(v.ctx, v.at(name)); err != nil {
		return ftp.Entry{}, false
	}
	return e, true
}

// unlink removes a listed directory if one command is sufficient. It may be a link to a directory, which
// some servers list as the directory itself, or a junction, or empty. DELE removes a link itself and does
// no harm to a directory. RMD removes a junction, not its target. Some servers' RMD removes everything in
// the directory, so RMD is not tried if part of the contents may have to be kept.
func (m *mirror) unlink(ctx context.Context, rel string) bool {
	s, ok := m.dst.(*remoteSide)
	if !ok || m.o.DryRun {
		return false
	}
	m.mu.Lock()
	most := m.o.MaxDelete
	may := most == 0 || most > 0 && m.deletes < most
	m.mu.Unlock()
	if !may {
		return false
	}
	dir := false
	err := s.remove(ctx, rel, false)
	if pi.IsReply(err) && m.o.Select == nil && most == 0 {
		dir, err = true, s.remove(ctx, rel, true)
	}
	return err == nil && m.removeBy(ctx, rel, dir, func() error { return nil }) // removed already; only count it
}

// noteRoot records the names in the root of the source, by which isSource recognises it at the destination.
// The listing is kept until the mirror ends.
func (m *mirror) noteRoot(names *kept.List) {
	m.root = names
	m.seed = maphash.MakeSeed()
	for i := range names.Len() {
		e, _ := m.entry(names, i)
		m.rootNames = append(m.rootNames, maphash.String(m.seed, e.Name))
	}
	slices.Sort(m.rootNames)
}

// isSource returns an error if a directory at the destination, which is to be removed and contains names, is
// or may be the root of the source: both may be on one server that has several addresses. If it has half of
// the source's names, a probe file is created in it and looked for in the source.
func (m *mirror) isSource(ctx context.Context, rel string, names *kept.List) error {
	same := 0
	for i := range names.Len() {
		e, _ := m.entry(names, i)
		if _, ok := slices.BinarySearch(m.rootNames, maphash.String(m.seed, e.Name)); ok {
			same++
		}
	}
	if same == 0 || same < (len(m.rootNames)+1)/2 {
		return nil
	}
	if m.o.DryRun {
		return m.looksLikeSource(names)
	}
	probe := probeName()
	at := below(rel, probe)
	if err := m.dst.writeSmall(ctx, at, []byte(probe)); err != nil {
		if errors.Is(err, context.Cause(ctx)) && ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", errMayBeSource, err)
	}
	_, err := m.src.look(ctx, probe)
	if gone := m.dst.remove(ctx, at, false); gone != nil {
		return fmt.Errorf("not deleted: the file %s, created to find out whether it is the source of this mirror, could not be removed: %w", probe, gone)
	}
	switch {
	case err == nil:
		return errIsSource
	case isMissing(err):
		return nil
	}
	return fmt.Errorf("not deleted, because it may be the source of this mirror: %w", err)
}

// noteBranches records the directories that both roots have now, by which isDestination recognises the destination.
func (m *mirror) noteBranches(all []branch) {
	const enough = 100
	for _, b := range all[:min(len(all), enough)] {
		m.rootDirs = append(m.rootDirs, b.rel)
	}
}

// isDestination returns an error if a directory of the source, which contains names, is or may be the root of
// the destination: one server may have both, or this host may be the server. Its copy would be copied again,
// without end. If it has all directories of that root, a probe file is created at the destination and
// looked for in it. If no file can be created, the answer is no.
func (m *mirror) isDestination(ctx context.Context, rel string, names *kept.List) error {
	if rel == "" {
		return nil
	}
	if m.o.DryRun {
		return m.looksLikeDestination(names)
	}
	if len(m.rootDirs) == 0 {
		return nil
	}
	for _, name := range m.rootDirs {
		if e, ok := m.find(names, name); !ok || !e.IsDir() {
			return nil
		}
	}
	probe := probeName()
	if m.dst.writeSmall(ctx, probe, []byte(probe)) != nil {
		return nil
	}
	_, err := m.src.look(ctx, below(rel, probe))
	if gone := m.dst.remove(ctx, probe, false); gone != nil {
		m.report(ctx, Action{Kind: Remove, Path: probe, Err: fmt.Errorf("the file, created to find out whether %s is the destination of this mirror, could not be removed: %w", ftp.Printable(rel), gone)})
	}
	if err != nil {
		return nil
	}
	return errIsDestination
}

// looksLikeDestination is isDestination for a dry run, which can't create a probe file. A directory may be the
// root of the destination if both have the same names with the same types, sizes and times. If the root is
// empty, that is true of any empty directory, so the answer is no, and the plan may have one directory
// more than the run.
func (m *mirror) looksLikeDestination(names *kept.List) error {
	if m.dstRoot.Len() == 0 || m.dstRoot.Len() != names.Len() {
		return nil
	}
	for i := range names.Len() {
		here, _ := m.entry(names, i)
		there, ok := m.find(m.dstRoot, here.Name)
		switch {
		case !ok:
			return nil
		case here.Type == ftp.LinkEntry || there.Type == ftp.LinkEntry: // servers differ in how they list links
		case here.Type != there.Type, here.Type == ftp.FileEntry && here.Size >= 0 && there.Size >= 0 && here.Size != there.Size,
			m.order(&here, &there) != 0:
			return nil
		}
	}
	return errLooksLikeDestination
}

// looksLikeSource is isSource for a dry run, which can't create a probe file. A directory is not the source
// if a file in it has another size or time. If nothing differs it may also be a copy, which a real run would
// delete; the dry run reports that it can't tell. Otherwise it might announce a deletion that the run
// then refuses.
func (m *mirror) looksLikeSource(names *kept.List) error {
	for i := range names.Len() {
		there, _ := m.entry(names, i)
		here, ok := m.find(m.root, there.Name)
		if !ok || here.Type != ftp.FileEntry || there.Type != ftp.FileEntry {
			continue // servers differ in how they list links
		}
		if here.Size >= 0 && there.Size >= 0 && here.Size != there.Size || m.order(&here, &there) != 0 {
			return nil
		}
	}
	return errLooksLikeSource
}

// probeName returns a name for a probe file that no other file has.
func probeName() string { return "miniftp-probe-" + strings.ToLower(rand.Text()[:12]) }
