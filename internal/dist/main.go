// Command dist builds what a release consists of: an archive for each platform, a list of the
// modules inside (SBOM) and a list of checksums. Two runs on the same commit with the same Go
// version write the same bytes.
//
//	go run ./internal/dist -version 1.2.0 -out dist
//
// With -image it writes what the Containerfile copies into an image, instead.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// platforms are those that a release is built for.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "freebsd/amd64", "windows/amd64"}

// documents go into every archive, beside the program.
var documents = []string{"LICENSE", "README.md", "CHANGELOG.md", "docs/miniftp.toml"}

// versionVariable is what miniftp --version prints, if it is set.
const versionVariable = "miniftp/cmd/miniftp/internal/verb.release"

func main() {
	log.SetFlags(0)
	log.SetPrefix("dist: ")
	version := flag.String("version", "", "the version, such as 1.2.0 (default: from git describe)")
	out := flag.String("out", "dist", "the directory to write to; it is made")
	only := flag.String("only", "", "build one platform only, such as linux/amd64")
	image := flag.String("image", "", "write the files of a container image to that directory, for linux on this processor, and nothing else")
	flag.Parse()
	targets := platforms
	if *only != "" {
		targets = []string{*only}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *image != "" {
		err = buildImage(ctx, *version, *image)
	} else {
		err = build(ctx, *version, *out, targets)
	}
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// release is one run.
type release struct {
	version string
	time    time.Time // of the commit: the time of all files in the archives
	out     string
	sums    map[string][sha256.Size]byte // by file name
	modules map[string]*debug.Module     // of all platforms
}

// newRelease returns a release of the current commit. Without a version, git describes it.
func newRelease(ctx context.Context, version, out string) (*release, error) {
	r := &release{version: version, out: out, sums: map[string][sha256.Size]byte{}, modules: map[string]*debug.Module{}}
	if r.version == "" {
		described, err := git(ctx, "describe", "--tags", "--always", "--dirty")
		if err != nil {
			return nil, err
		}
		r.version = strings.TrimPrefix(described, "v")
	}
	committed, err := git(ctx, "log", "-1", "--format=%ct")
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseInt(committed, 10, 64)
	if err != nil {
		return nil, err
	}
	r.time = time.Unix(seconds, 0).UTC()
	return r, os.MkdirAll(out, 0o755)
}

func build(ctx context.Context, version, out string, targets []string) error {
	r, err := newRelease(ctx, version, out)
	if err != nil {
		return err
	}
	for _, target := range targets {
		if err := r.platform(ctx, target); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	if err := r.writeModules(); err != nil {
		return err
	}
	return r.writeSums()
}

func git(ctx context.Context, args ...string) (string, error) {
	said, err := exec.CommandContext(ctx, "git", args...).Output() //nolint:gosec // the arguments are this file's
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(said)), nil
}

// platform builds and packs the program for one platform.
func (r *release) platform(ctx context.Context, target string) error {
	system, arch, _ := strings.Cut(target, "/")
	dir, err := os.MkdirTemp("", "dist")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "miniftp")
	if system == "windows" {
		program += ".exe"
	}
	if err := r.compile(ctx, system, arch, program); err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	for _, m := range info.Deps {
		r.modules[m.Path] = m
	}
	var packed bytes.Buffer
	name := fmt.Sprintf("miniftp-%s-%s-%s", r.version, system, arch)
	pack, suffix := tarball, ".tar.gz"
	if system == "windows" {
		pack, suffix = zipped, ".zip"
	}
	if err := pack(&packed, name, append([]string{program}, documents...), r.time); err != nil {
		return err
	}
	return r.write(name+suffix, packed.Bytes())
}

// compile builds the program for one platform.
func (r *release) compile(ctx context.Context, system, arch, program string) error {
	//nolint:gosec // the version is what the maintainer typed
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X "+versionVariable+"="+r.version, "-o", program, "./cmd/miniftp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch, "GOFLAGS=")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// tarball packs files into the directory name of an archive.
func tarball(w io.Writer, name string, files []string, at time.Time) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: name + "/" + filepath.Base(file), Mode: mode(file), Size: int64(len(content)), ModTime: at, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(content); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

// zipped is tarball for Windows.
func zipped(w io.Writer, name string, files []string, at time.Time) error {
	z := zip.NewWriter(w)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: name + "/" + filepath.Base(file), Method: zip.Deflate, Modified: at}
		h.SetMode(os.FileMode(mode(file)))
		f, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(content); err != nil {
			return err
		}
	}
	return z.Close()
}

// mode returns the permission bits of a file in an archive: the program can be run.
func mode(file string) int64 {
	if strings.HasPrefix(filepath.Base(file), "miniftp") && filepath.Ext(file) != ".toml" {
		return 0o755
	}
	return 0o644
}

// bom is a CycloneDX document, as far as it is needed.
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl,omitempty"` // package URL
}

// writeModules writes which modules are in the programs, as the programs say themselves.
func (r *release) writeModules() error {
	b := bom{
		Format: "CycloneDX", Spec: "1.5", Version: 1,
		Metadata: metadata{r.time.Format(time.RFC3339), component{Type: "application", Name: "miniftp", Version: r.version}},
	}
	for _, m := range r.modules {
		b.Components = append(b.Components, component{"library", m.Path, m.Version, "pkg:golang/" + m.Path + "@" + m.Version})
	}
	slices.SortFunc(b.Components, func(a, b component) int { return strings.Compare(a.Name, b.Name) })
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return r.write("miniftp-"+r.version+".cdx.json", append(text, '\n'))
}

// writeSums writes the checksums of all files, in the form that sha256sum -c reads.
func (r *release) writeSums() error {
	var lines []string
	for name, sum := range r.sums {
		lines = append(lines, fmt.Sprintf("%x  %s\n", sum, name))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[2*sha256.Size:], b[2*sha256.Size:]) })
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(strings.Join(lines, "")), 0o644)
}

func (r *release) write(name string, content []byte) error {
	r.sums[name] = sha256.Sum256(content)
	log.Printf("%s  %.1f MB", name, float64(len(content))/1e6)
	return os.WriteFile(filepath.Join(r.out, name), content, 0o644)
}
