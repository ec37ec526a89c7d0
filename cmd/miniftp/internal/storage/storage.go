// Package storage knows which storages the command line can open besides servers: directories of this host,
// archives, memory and buckets. Package serve serves them, and package bridge makes them usable for client verbs.
//
// It is built on fsroot and its storages. It must not depend on any verb.
package storage

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/fsroot"
	"miniftp/fsroot/s3fs"
)

// Scheme is a kind of storage. The name of the scheme and a colon begin its URLs.
type Scheme struct {
	Name      string
	Form      string // how its URL is written, for help and messages
	Help      string // what it is, for help
	Writable  bool   // files in it can be changed
	Sweeps    bool   // interrupted uploads stay in it until a server removes them
	Lasts     bool   // its files outlast the program
	HoldsBack bool   // uploads can be held back until they are checked
	HasDirs   bool   // a path of its URL names a directory, which can be a root
	Open      func(ctx context.Context, root string, use Use) (afero.Fs, io.Closer, error)

	// split returns the root and the path of a URL, which has this scheme. nil: all of it is the root.
	split func(url string) (Place, error)
}

// Schemes holds all storages besides directories. Tests may add their own.
var Schemes = []Scheme{
	{Name: "s3", Form: "s3://BUCKET/PATH", Help: "a bucket of S3 or a compatible service", Writable: true, Sweeps: true, Lasts: true, HoldsBack: true, HasDirs: true, Open: openBucket, split: splitBucket},
	{Name: "zip", Form: "zip:FILE!/PATH", Help: "a zip archive, read-only", Lasts: true, Open: openLocal, split: splitArchive},
	{Name: "tar", Form: "tar:FILE!/PATH", Help: "a tar archive, read-only", Lasts: true, Open: openLocal, split: splitArchive},
	{Name: "mem", Form: "mem://", Help: "files in memory", Writable: true, Sweeps: true, HoldsBack: true, Open: openLocal},
}

// Use says what a storage is opened for. The zero value is for a server.
type Use struct {
	// Timeout limits how long the storage may wait for its service without progress; 0: its default.
	Timeout time.Duration
	// Client is set for a single command. Uploads then keep less in memory, so that progress is not that of memory.
	Client bool
	// Exact makes listings show the exact times of files, even if that takes a request for each.
	Exact bool
}

// find returns the scheme of spec, or nil if spec has none of Schemes.
func find(spec string) *Scheme {
	name, rest, ok := strings.Cut(spec, ":")
	for i := range Schemes {
		s := &Schemes[i]
		if ok && strings.EqualFold(s.Name, name) && (strings.HasPrefix(rest, "//") || !strings.Contains(s.Form, "://")) {
			return s
		}
	}
	return nil
}

// Is reports whether spec is a storage with a scheme, and so neither a directory nor a server.
func Is(spec string) bool { return find(spec) != nil }

// IsDirectory reports whether spec is a directory of this host.
func IsDirectory(spec string) bool { return !Is(spec) && !fsroot.IsURL(spec) }

// Writable reports whether files can be changed in the storage of spec, as far as its scheme says.
func Writable(spec string) bool { s := find(spec); return s == nil || s.Writable }

// Sweeps reports whether interrupted uploads stay in the storage of spec until a server removes them.
func Sweeps(spec string) bool { s := find(spec); return s == nil || s.Sweeps }

// Lasts reports whether the files of the storage of spec outlast the program.
func Lasts(spec string) bool { s := find(spec); return s == nil || s.Lasts }

// HoldsBack reports whether the storage of spec can hold uploads back until they are checked, before they are visible.
func HoldsBack(spec string) bool { s := find(spec); return s == nil || s.HoldsBack }

// HasDirectories reports whether a directory in the storage of spec can be a root, with a path in its URL.
func HasDirectories(spec string) bool {
	s := find(spec)
	return s != nil && s.HasDirs || IsDirectory(spec)
}

// Open opens the storage spec: a directory, or the root of a storage of Schemes. ctx limits only the opening.
// The caller must close the closer when the storage is no longer used.
func Open(ctx context.Context, spec string) (afero.Fs, io.Closer, error) {
	return OpenFor(ctx, spec, Use{})
}

// OpenFor is like Open for another use than that of a server.
func OpenFor(ctx context.Context, spec string, use Use) (afero.Fs, io.Closer, error) {
	if s := find(spec); s != nil {
		return s.Open(ctx, spec, use)
	}
	if IsDirectory(spec) {
		return openLocal(ctx, spec, use)
	}
	name, _, _ := strings.Cut(spec, "://")
	return nil, nil, verb.Usagef("unknown storage %s://: want a directory, %s", name, Forms())
}

// URLs returns the forms of the URLs that client verbs take, as a list for help.
func URLs() string {
	var all []string
	for _, s := range Schemes {
		if s.Lasts {
			all = append(all, s.Form)
		}
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// Forms returns the forms of all storages besides directories, as a list for messages.
func Forms() string {
	var all []string
	for _, s := range Schemes {
		all = append(all, strings.TrimSuffix(strings.TrimSuffix(s.Form, "!/PATH"), "/PATH"))
	}
	return strings.Join(all, ", ")
}

func openLocal(_ context.Context, spec string, _ Use) (afero.Fs, io.Closer, error) {
	return fsroot.Open(spec)
}

// clientMemory is the memory for the uploads of a command. With parts of that size, a file may have 600 GB.
const clientMemory = "64M"

// openBucket opens a bucket of S3.
func openBucket(ctx context.Context, spec string, use Use) (afero.Fs, io.Closer, error) {
	if _, err := splitBucket(spec); err != nil {
		return nil, nil, err
	}
	if _, err := s3fs.Parse(spec); err != nil {
		return nil, nil, verb.Usagef("%s: %v", mask(spec), err)
	}
	if use.Client {
		spec = withDefault(spec, "memory=", clientMemory)
	}
	if use.Exact {
		spec = withDefault(spec, "times=", "exact")
	}
	files, err := s3fs.Open(ctx, spec, &s3fs.Options{Timeout: use.Timeout})
	if err != nil {
		return nil, nil, problem(err)
	}
	return files, files, nil
}

// withDefault returns spec with an option, unless it has that option.
func withDefault(spec, option, value string) string {
	_, tail := cutOptions(spec)
	switch {
	case tail == "":
		return spec + "?" + option + value
	case strings.Contains(tail, "?"+option) || strings.Contains(tail, "&"+option):
		return spec
	}
	return spec + "&" + option + value
}

// Error is returned for a storage that can't be opened because the service that has it refuses or can't be
// reached. Its text names the storage.
type Error struct {
	Err  error
	exit int
}

// problem returns err, from opening a service, with what it means for the exit code.
func problem(err error) error {
	var wire net.Error // *url.Error is one
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &wire), errors.Is(err, context.DeadlineExceeded):
		return &Error{err, verb.ExitConnect}
	}
	return &Error{err, verb.ExitRefused}
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// VerbExit returns the exit code that explains the error; see verb.ExitCode.
func (e *Error) VerbExit() int { return e.exit }

// mask returns a URL without its options, which messages need not repeat.
func mask(spec string) string {
	head, _ := cutOptions(spec)
	return head
}

// Place is a path within a storage.
type Place struct {
	Root string // names the storage, for Open
	Path string // as it is written in the URL, without a slash at its beginning
	// The URL of another path is Head, that path, and Tail.
	Head, Tail string
}

// Split splits a URL for a client verb into the storage and the path within it.
func Split(spec string) (Place, error) {
	s := find(spec)
	switch {
	case s == nil:
		return Place{}, verb.Usagef("%q is not a storage: known are %s", mask(spec), Forms())
	case s.split != nil:
		return s.split(spec)
	case s.Name == "mem":
		return Place{}, verb.Usagef("mem:// is only for  miniftp serve mem:// : the files would be lost when the command ends")
	}
	return splitRest(spec), nil
}

// splitRest splits a URL such as name://path, which has no options.
func splitRest(spec string) Place {
	name, p, _ := strings.Cut(spec, "://")
	return Place{Root: name + "://", Path: strings.TrimLeft(p, "/"), Head: name + "://"}
}

// options matches the beginning of the options of a URL. A question mark without a key is a wildcard.
var options = regexp.MustCompile(`\?[A-Za-z][A-Za-z0-9_-]*=`)

// cutOptions splits the options, such as ?region=eu-1, from a URL. They begin with a question mark.
func cutOptions(spec string) (url, tail string) {
	if at := options.FindStringIndex(spec); at != nil {
		return spec[:at[0]], spec[at[0]:]
	}
	return spec, ""
}

// secretKey matches the names of options that hold a secret.
var secretKey = regexp.MustCompile(`(?i)secret|password|token|key|credential`)

// splitBucket splits s3://BUCKET/PATH?OPTIONS. The error for credentials in it does not show them.
func splitBucket(spec string) (Place, error) {
	head, tail := cutOptions(spec)
	_, rest, _ := strings.Cut(head, "://")
	bucket, p, _ := strings.Cut(rest, "/")
	if strings.Contains(bucket, "@") {
		return Place{}, errCredentials
	}
	for _, option := range strings.Split(strings.TrimPrefix(tail, "?"), "&") {
		name, value, _ := strings.Cut(option, "=")
		if _, login, ok := strings.Cut(value, "://"); secretKey.MatchString(name) || ok && strings.Contains(login, "@") {
			return Place{}, errCredentials
		}
	}
	if bucket == "" {
		return Place{}, verb.Usagef("the URL names no bucket: write s3://BUCKET/PATH")
	}
	return Place{Root: "s3://" + bucket + tail, Path: strings.TrimLeft(p, "/"), Head: "s3://" + bucket + "/", Tail: tail}, nil
}

var errCredentials = verb.Usagef("credentials can't be part of an s3:// URL, where others could see them: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use ~/.aws/credentials")

// splitArchive splits zip:FILE!/PATH. FILE is a local name and is not decoded.
func splitArchive(spec string) (Place, error) {
	name, rest, _ := strings.Cut(spec, ":")
	file, p, _ := strings.Cut(rest, "!/")
	if file == "" {
		return Place{}, verb.Usagef("the URL names no file: write %s:FILE!/PATH", name)
	}
	root := strings.ToLower(name) + ":" + file
	return Place{Root: root, Path: strings.TrimLeft(p, "/"), Head: root + "!/"}, nil
}
