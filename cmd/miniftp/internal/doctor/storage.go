package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/fsroot/fstest"
	"miniftp/ftp/client"
)

// isStorage reports whether the argument of doctor names a storage and not a server. A name without a scheme is
// a host, unless it is written as a path.
func isStorage(arg string) bool {
	if storage.Is(arg) {
		return true
	}
	return storage.IsDirectory(arg) && (arg == "." || arg == ".." || strings.ContainsRune(arg, '/') || strings.ContainsRune(arg, filepath.Separator))
}

// openStorage opens what isStorage accepts.
func openStorage(ctx context.Context, spec string) (afero.Fs, io.Closer, error) {
	fsys, closer, err := storage.Open(ctx, spec)
	switch {
	case err == nil || !storage.IsDirectory(spec) && errors.As(err, new(interface{ VerbExit() int })):
	case storage.Is(spec):
		err = verb.FirstError(usage(err), &client.LocalError{Err: err})
	default:
		if _, missing := os.Stat(spec); missing != nil && !filepath.IsAbs(spec) && !strings.HasPrefix(spec, ".") {
			err = fmt.Errorf("%w; the URL of a server begins with ftp://", verb.Cause(err))
		}
		err = verb.LocalProblem(spec, err)
	}
	return fsys, closer, err
}

// orDirectory returns err, about an argument that is no URL, or how to write it if it is a directory.
func orDirectory(arg string, err error) error {
	if fi, missing := os.Stat(arg); missing == nil && fi.IsDir() {
		return verb.Usagef("%q could be a server or a directory: write %s for the directory", arg, verb.ShellWord("./"+arg))
	}
	return err
}

// usage returns err if it is about the command line.
func usage(err error) error {
	if verb.ExitCode(err) == verb.ExitUsage {
		return err
	}
	return nil
}

// runStorage examines a storage.
func runStorage(e *verb.Env, c *cli.Context, spec string) error {
	if c.Bool("write") {
		return verb.Usagef("--write is for servers; a storage is written to unless --read-only is given")
	}
	fsys, closer, err := openStorage(c.Context, spec)
	if err != nil {
		return err
	}
	defer closer.Close()
	s := &storageReport{spec: spec, onlyRead: c.Bool("read-only")}
	begun := time.Now()
	if s.onlyRead {
		s.results = fstest.ExamineReading(c.Context, fsys)
	} else {
		if storage.Writable(spec) {
			e.Note("doctor writes to %s, in a hidden directory .miniftp-check-…, and removes it at the end; --read-only writes nothing", spec)
		}
		s.results = fstest.Examine(c.Context, fsys)
		s.probe(c.Context, fsys)
	}
	if n := storage.SkippedNames(fsys); n > 0 {
		e.Note("%d times a listing left out an object whose key can't be the name of a file", n)
	}
	s.took = time.Since(begun)
	if c.Context.Err() != nil {
		if last := s.results[len(s.results)-1]; last.Name == fstest.CleanUp && last.Verdict == fstest.Wrong {
			e.Note("%v", last.Err)
		}
		return context.Cause(c.Context)
	}
	s.judge()
	if c.Bool("json") {
		err = verb.PrintJSON(e.Out, s.json())
	} else {
		err = s.print(e.Out)
	}
	return verb.FirstError(err, verb.At(spec, s.err))
}

// ofService begins the names of the checks of the service behind a storage.
const ofService = "service: "

// probe adds what the service behind the storage can do, if there is one.
func (s *storageReport) probe(ctx context.Context, fsys afero.Fs) {
	abilities, err := storage.Probe(ctx, fsys)
	if err != nil { // the checks before have said so
		return
	}
	for _, a := range abilities {
		r := fstest.Result{Name: ofService + a.Name, Err: a.Err}
		if a.Minor {
			r.Need = fstest.Minor
		}
		if a.Err != nil {
			r.Verdict = fstest.No
		}
		s.results = append(s.results, r)
	}
}

// storageReport is the result of the examination of a storage.
type storageReport struct {
	spec     string
	onlyRead bool // --read-only
	results  []fstest.Result
	took     time.Duration
	fewer    bool // the storage has no uploads of its own, which the table shows in one cell

	refuses  bool            // the storage can't be written to, although that was tried
	findings []*storageIssue // what is wrong, before what is missing
	err      error           // why a server can't use it
}

// storageIssue is an ability that is missing or wrong, or several that are missing for the same reason.
type storageIssue struct {
	results []fstest.Result
	means   string // for FTP clients
}

// unfit is the error for a storage that a server can't use.
type unfit []string

func (u unfit) Error() string {
	return fmt.Sprintf("a server can't use this storage: %s", strings.Join(u, "; "))
}

// VerbExit returns the exit code.
func (unfit) VerbExit() int { return verb.ExitIncomplete }

// judge fills in the findings and the error.
func (s *storageReport) judge() {
	var bad unfit
	has := map[string]bool{}
	s.fewer = true
	for _, r := range s.results {
		s.fewer = s.fewer && !(isUpload(r.Name) && r.Verdict != fstest.No)
		has[r.Name] = r.Verdict == fstest.Yes
		if r.Name == fstest.Writable {
			s.refuses = r.Verdict == fstest.No
		}
	}
	for _, wrong := range []bool{true, false} {
		for _, r := range s.results {
			isWrong := r.Verdict == fstest.Wrong || !r.OK()
			if r.Verdict == fstest.Yes || r.Verdict == fstest.Skipped || isWrong != wrong {
				continue
			}
			if !r.OK() {
				bad = append(bad, r.Name)
			}
			means := s.meaning(r, has)
			if n := len(s.findings); !wrong && n > 0 && s.findings[n-1].means == means && s.findings[n-1].results[0].Verdict == fstest.No {
				s.findings[n-1].results = append(s.findings[n-1].results, r)
				continue
			}
			s.findings = append(s.findings, &storageIssue{[]fstest.Result{r}, means})
		}
	}
	if len(bad) > 0 {
		s.err = bad
	}
}

// isUpload reports whether a check is about storages that make files of uploads themselves.
func isUpload(name string) bool { return strings.HasPrefix(name, "uploads: ") }

// meaning returns what it means for FTP clients that an ability is missing or wrong. has holds the abilities.
func (s *storageReport) meaning(r fstest.Result, has map[string]bool) string {
	switch {
	case strings.HasPrefix(r.Name, ofService) && r.Need == fstest.Minor:
		return "some names or directories are not shown as they are."
	case strings.HasPrefix(r.Name, ofService):
		return "uploads, renames, or the quotas and bans that servers share can be lost: use another service."
	case r.Name == "free space (Free)" && !has[fstest.Writable]:
		return "not needed: nothing can be written."
	case s.fewer && isUpload(r.Name) && has["rename a file"]:
		return "not needed: an upload gets its name by a rename when it is complete."
	case s.fewer && isUpload(r.Name):
		return "uploads are written to their final names."
	case r.Verdict == fstest.No && slices.Contains(forUploads, r.Name) && has["uploads: whole or not at all"]:
		return "not needed: the storage itself makes files of uploads."
	case r.Verdict == fstest.No && r.Name == "move a directory (MoveDir)" && has["rename a directory"]:
		return "not needed: a directory is renamed in one step."
	case r.Verdict == fstest.No && r.Name == "rename a directory" && has["move a directory (MoveDir)"]:
		return "a directory is moved file by file, which takes time; RNTO waits for it."
	case r.Verdict == fstest.No && r.Name == "rename a file" && has["uploads: whole or not at all"]:
		return "RNTO of a file is refused. Uploads are not affected: the storage itself makes files of them."
	case r.Verdict == fstest.No && slices.Contains(renames, r.Name) && !has["rename a file"]:
		return meanings["rename a file"]
	}
	return meanings[r.Name]
}

// renames holds the abilities that need that to rename a file.
var renames = []string{"rename replaces a file", "rename without replacing (RenameNew)"}

// forUploads holds the abilities that a storage does not need if it makes files of uploads itself.
var forUploads = []string{
	"create only a new file (O_EXCL)", "append (O_APPEND)", "write in the middle", "WriteAt", "truncate", "open a directory (Dir)",
	"copy attributes (Inherit)", "lock a file (Lock)", "sync a directory (SyncDir)",
}

// meanings holds what it means for FTP clients that an ability is missing or wrong, by the name of its check.
var meanings = map[string]string{
	fstest.Writable: "the storage is read-only: clients can list and fetch; STOR, APPE, MKD, DELE and RNFR are refused with 550.",

	"read a file":                       "downloads fail or are damaged.",
	"read from an offset":               "a resumed download (REST) fails or is damaged.",
	"ReadAt and wrong positions":        "no command of FTP needs it.",
	"attributes of a file":              "sizes and times in listings, SIZE and MDTM are wrong.",
	"names that do not exist":           "the server can't tell a missing file from a failure: uploads and renames are refused.",
	"list a directory":                  "listings fail or are incomplete; a mirror could delete what is not listed.",
	"a listing agrees with Stat":        "LIST and MLSD show other values than SIZE, MDTM and MLST.",
	"several readers at once":           "downloads by several clients at once fail or are damaged.",
	"list without opening (ReadDirSeq)": "listings open the directory first, as on a disk. Nothing is missing for clients.",
	"free space (Free)":                 "AVBL is refused, and ALLO always agrees: an upload that is too large fails only when the storage is full.",
	"identity of a file (Sys)":          "listings show no owner and no unique fact.",

	"write a file":                    "uploads fail or are damaged.",
	"replace the content of a file":   "an upload to a name that exists leaves a part of the old content.",
	"create only a new file (O_EXCL)": "STOU, and uploads by users who may not overwrite files, could replace a file.",
	"append (O_APPEND)":               "APPE to a file fails or damages it.",
	"write in the middle":             "REST with STOR into a file fails or damages it.",
	"WriteAt":                         "no command of FTP needs it.",
	"truncate":                        "an interrupted upload can't be resumed with REST and STOR; it has to be sent again.",
	"remove a file":                   "DELE fails, and hidden files of uploads remain.",
	"make and remove a directory":     "MKD or RMD fails.",
	"keep an empty directory":         "a directory disappears with its last file: the next upload into it is refused with 550.",
	"refuse an existing directory":    "MKD of a directory that exists is answered with 257 instead of 550.",
	"keep a directory that is full":   "RMD removes a directory with all that is in it.",
	"refuse a missing directory":      "an upload to a directory that does not exist makes it, instead of a refusal with 550.",
	"refuse a file as a directory":    "a file can have names below it, which clients can't reach.",
	"list 600 files in batches":       "listings of large directories are incomplete or never end.",

	"rename a file":                        "an upload is written to its final name, so it is visible while it runs, and an interrupted one leaves a part of the file; RNTO is refused with 504.",
	"rename replaces a file":               "an upload to a name that exists is written in place, or refused.",
	"rename without replacing (RenameNew)": "an empty file reserves the name of an upload when it ends; other programs may see it for a moment.",
	"rename a directory":                   "RNTO of a directory is refused.",
	"move a directory (MoveDir)":           "RNTO of a directory is refused.",
	"refuse to replace a directory":        "RNTO could replace a directory and lose what is in it.",
	"readers keep a replaced file":         "a download during which the file is replaced is cut, or mixes both versions.",

	"set the time":                  "MFMT fails or has no effect: files have the time of their upload, and mirrors by time transfer them again.",
	"list the time that was set":    "LIST and MLSD show when the file was stored, not the time that MFMT has set; MDTM is right. For a bucket, times=exact in the URL changes that.",
	"set the mode":                  "SITE CHMOD and the fact UNIX.mode fail or have no effect.",
	"a FileInfo does not change":    "a change of a file during a command may go unnoticed.",
	"symlinks":                      "listings show no symlinks, or their targets can't be read. The server makes none.",
	"names with spaces":             "files with such names are refused or renamed.",
	"names in UTF-8":                "files with such names are refused or renamed.",
	"names with special characters": "files with such names are refused or renamed.",
	"names of 255 bytes":            "files with such names are refused; uploads to long names are written in place.",

	"use by several at once":                  "transfers by several clients at once fail or damage files.",
	"open a directory (Dir)":                  "each step of an upload walks the path anew. Nothing is missing for clients.",
	"copy attributes (Inherit)":               "a file that an upload replaces keeps its mode, but not its owner and ACL.",
	"lock a file (Lock)":                      "several servers of one storage guess from its age whether an upload is still running.",
	"sync a directory (SyncDir)":              "--sync full does not write names to the disk.",
	"uploads: whole or not at all":            "uploads that run are visible, or those that are complete can be damaged.",
	"uploads: abort":                          "an upload that is to be dropped can be resumed, or leaves something behind.",
	"uploads: resume":                         "an interrupted upload has to be sent again.",
	"uploads: append":                         "APPE to a file fails or damages it.",
	"uploads: change a part":                  "REST with STOR into a file is refused or damages it.",
	"uploads: hold back (Hold)":               "uploads can't be checked before they are visible (--gate).",
	"uploads: keep the time":                  "a time that a client gives for an upload is lost.",
	"uploads: replace nothing (New)":          "STOU, and uploads by users who may not overwrite files, could replace a file.",
	"uploads: remove old ones (SweepUploads)": "what is kept of interrupted uploads remains until the storage itself removes it.",
	fstest.CleanUp:                            "something that doctor has made remains and has to be removed by hand.",
}
