package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// peer is a stock client, its server, and its working directory.
type peer struct {
	t          *testing.T
	prog       string
	host, port string
	active     bool
	local      string   // its working directory
	fs         afero.Fs // the files that the server serves
	content    []byte   // the content of most files
}

// newPeer starts a server and finds the client.
func newPeer(t *testing.T, name, family string, active bool) *peer {
	t.Helper()
	prog := peers.Client(t, name)
	fsys, _ := disk(t)
	s := serveOn(t, family, fsys)
	host, port, err := net.SplitHostPort(s.addr)
	check(t, err)
	p := &peer{t: t, prog: prog, host: host, port: port, active: active, local: t.TempDir(), fs: fsys, content: random(700_000)}
	write(t, fsys, "/sub/down", string(p.content))
	write(t, fsys, "/empty", "")
	for _, name := range peerNames {
		write(t, fsys, "/names/"+name, name)
	}
	check(t, os.WriteFile(p.path("up"), p.content, 0o644))
	return p
}

// peerNames are names that can be passed to clients with a command line.
var peerNames = []string{"in side", `quo"te`, "ha#sh", "[bracket]", "semi;colon", "é漢字😀", "per%cent", " lead"}

func (p *peer) path(name string) string { return filepath.Join(p.local, name) }

// url returns an FTP URL for the user rw; the path is escaped byte by byte.
func (p *peer) url(path string) string { return "ftp://rw:rw@" + p.authority() + escape(path) }

func (p *peer) authority() string { return net.JoinHostPort(p.host, p.port) }

func escape(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c == '/' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else {
			_, _ = fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// run runs the client with input; it must succeed.
func (p *peer) run(input string, args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.prog, args...)
	cmd.Dir = p.local
	cmd.Env = []string{"HOME=" + p.local, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TERM=dumb"}
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("%s %q: %v\n%s\n%s", p.prog, args, err, input, out.String())
	}
	return out.String()
}

// got checks a local file.
func (p *peer) got(name string, want []byte) {
	p.t.Helper()
	b, err := os.ReadFile(p.path(name))
	if err != nil || sum(b) != sum(want) {
		p.t.Errorf("%s fetched %d bytes into %s, want %d: %v", p.prog, len(b), name, len(want), err)
	}
}

// stored checks a file of the server.
func (p *peer) stored(name string, want []byte) {
	p.t.Helper()
	if got := read(p.t, p.fs, name); sum([]byte(got)) != sum(want) {
		p.t.Errorf("%s stored %d bytes as %s, want %d", p.prog, len(got), name, len(want))
	}
}

// half makes the first half of a transfer: locally as name, and on the server as an interrupted upload to name.
func (p *peer) half(name string) {
	p.t.Helper()
	half := p.content[:len(p.content)/2]
	check(p.t, os.WriteFile(p.path(name), half, 0o644))
	write(p.t, p.fs, "/"+server.PartialName(name, "rw", nil, 0), string(half))
}

func (p *peer) gone(names ...string) {
	p.t.Helper()
	for _, name := range names {
		if exists(p.fs, name) {
			p.t.Errorf("%s still exists", name)
		}
	}
}

func (p *peer) lists(listing string, names ...string) {
	p.t.Helper()
	for _, name := range names {
		if !strings.Contains(listing, name) {
			p.t.Errorf("%s does not list %q:\n%s", p.prog, name, listing)
		}
	}
}

// interop runs a test for a client in both modes, over the families that the test requests.
func interop(t *testing.T, name string, families []string, f func(p *peer)) {
	for _, family := range families {
		for _, active := range []bool{false, true} {
			if len(families) > 1 && active == (family == families[0]) && !testutil.Soaking {
				continue
			}
			mode := map[bool]string{false: "passive", true: "active"}[active]
			t.Run(family+" "+mode, func(t *testing.T) { f(newPeer(t, name, family, active)) })
		}
	}
}

var (
	v4     = []string{"127.0.0.1:0"}
	both46 = []string{"127.0.0.1:0", "[::1]:0"}
)

func TestInteropCurl(t *testing.T) {
	parallel(t)
	interop(t, "curl", both46, func(p *peer) {
		variants := [][]string{nil} // EPSV, or EPRT
		if p.host == "127.0.0.1" {
			variants = append(variants, []string{"--disable-epsv", "--disable-eprt"}) // PASV, or PORT
		}
		for _, more := range variants {
			args := append([]string{"-sS", "-g", "--ftp-method", "nocwd"}, more...)
			if p.active {
				args = append(args, "-P", "-")
			}
			curl := func(more ...string) string { return p.run("", append(slices.Clone(args), more...)...) }
			p.lists(curl(p.url("/")), "sub", "empty")
			p.lists(curl("-l", p.url("/names/")), peerNames...)
			curl("-o", "down", p.url("/sub/down"))
			p.got("down", p.content)
			curl("--ftp-method", "multicwd", "-o", "down", p.url("/sub/down"))
			p.got("down", p.content)
			curl("-o", "empty", p.url("/empty"))
			for _, name := range peerNames {
				curl("-o", "odd", p.url("/names/"+name))
				p.got("odd", []byte(name))
				curl("-T", "up", p.url("/"+name))
				p.stored("/"+name, p.content)
			}
			if got := curl("-r", "1000-1999", p.url("/sub/down")); got != string(p.content[1000:2000]) {
				p.t.Errorf("curl -r fetched %d bytes", len(got))
			}
			p.half("resumed")
			curl("-C", "-", "-o", "resumed", p.url("/sub/down"))
			p.got("resumed", p.content)
			curl("-C", "-", "-T", "up", p.url("/resumed"))
			p.stored("/resumed", p.content)
			curl("--ftp-create-dirs", "--ftp-method", "multicwd", "-T", "up", p.url("/made/deep/up"))
			p.stored("/made/deep/up", p.content)
			curl("-a", "-T", "up", p.url("/resumed"))
			p.stored("/resumed", append(slices.Clone(p.content), p.content...))
			curl("-I", p.url("/sub/down"))
			curl("-R", "-z", "20300101", "-o", "unchanged", p.url("/sub/down"))
			curl("-l", "-Q", "RNFR resumed", "-Q", "RNTO moved", "-Q", "DELE made/deep/up", "-Q", "RMD made/deep", "-Q", "-RMD made", "-Q", "-DELE moved", p.url("/"))
			p.gone("/resumed", "/moved", "/made")
			curl("-B", "-o", "text", "ftp://"+p.authority()+"/names/ha%23sh") // ASCII, anonymous
			p.got("text", []byte("ha#sh"))
		}
	})
}

func TestInteropLftp(t *testing.T) {
	parallel(t)
	interop(t, "lftp", both46, func(p *peer) {
		lftp := func(script ...string) string {
			settings := []string{
				"set cmd:fail-exit yes", "set net:max-retries 1", "set net:timeout 10", "set ftp:ssl-allow no", "set cmd:interactive no", "set xfer:clobber yes",
				fmt.Sprintf("set ftp:passive-mode %v", !p.active), "open -u rw,rw ftp://" + p.authority(),
			}
			return p.run("", "--norc", "-c", strings.Join(append(settings, script...), "; "))
		}
		p.lists(lftp("cls -1", "ls names"), append([]string{"sub/", "empty"}, peerNames...)...)
		for _, machine := range []string{"yes", "no"} { // MLSD, or LIST
			p.lists(lftp("set ftp:use-mlsd "+machine, "cls -l names"), peerNames...)
		}
		lftp("get sub/down -o down", "get empty -o empty", "put up -o stored", "mkdir -p made/deep", "put up -o made/deep/up", "mv stored moved", "chmod 600 moved")
		p.got("down", p.content)
		p.got("empty", nil)
		p.stored("/moved", p.content)
		p.stored("/made/deep/up", p.content)
		p.half("resumed")
		lftp("get -c sub/down -o resumed", "put -c up -o resumed")
		p.got("resumed", p.content)
		p.stored("/resumed", p.content)
		lftp("set net:connection-limit 4", "pget -n 3 sub/down -o parts")
		p.got("parts", p.content)
		lftp("mirror names mirrored", "mirror -R mirrored back")
		for _, name := range peerNames {
			p.got("mirrored/"+name, []byte(name))
			p.stored("/back/"+name, []byte(name))
		}
		lftp("rm moved resumed", "rm -r back made")
		p.gone("/moved", "/resumed", "/back", "/made")
		lftp("set ftp:prefer-epsv yes", "set ftp:use-size no", "set ftp:use-feat no", "get sub/down -o old")
		p.got("old", p.content)
	})
}

func TestInteropWget(t *testing.T) {
	parallel(t)
	interop(t, "wget", both46, func(p *peer) {
		wget := func(args ...string) string {
			args = append([]string{"-nv", "--tries=1", "--timeout=10", "--no-config"}, args...)
			if p.active {
				args = append(args, "--no-passive-ftp")
			}
			return p.run("", args...)
		}
		wget("-O", "down", p.url("/sub/down"))
		p.got("down", p.content)
		for _, name := range peerNames {
			if name != " lead" { // wget reads listings for links, and trims
				wget("-O", "odd", p.url("/names/"+name))
				p.got("odd", []byte(name))
			}
		}
		p.half("resumed")
		wget("-c", "-O", "resumed", p.url("/sub/down"))
		p.got("resumed", p.content)
		wget("-r", "-nH", "-l", "3", p.url("/"))
		p.got("sub/down", p.content)
		p.got("names/in side", []byte("in side"))
		wget("-nH", "ftp://"+p.authority()+"/sub/*", "-P", "glob")
		p.got("glob/down", p.content)
	})
}

func TestInteropTnftp(t *testing.T) {
	parallel(t)
	interop(t, "tnftp", v4, func(p *peer) {
		stance := map[bool]string{false: "-p", true: "-A"}[p.active]
		tnftp := func(script ...string) string {
			return p.run(strings.Join(append(append([]string{"user rw rw", "binary"}, script...), "bye", ""), "\n"), "-n", "-V", "-v", stance, "-P", p.port, p.host)
		}
		p.half("resumed")
		p.half("put")
		check(p.t, os.WriteFile(p.path("put"), p.content, 0o644))
		out := tnftp("ls", "dir names", "nlist sub", "get sub/down down", "get \"names/in side\" odd", "put up stored", "mkdir made", "cd made", "put up up", "cd ..", "rename stored moved",
			"chmod 600 moved", "size moved", "modtime moved", "cp", "reget sub/down resumed", "mls sub -", "mlsd names", "mlst sub", "rhelp", "status", "pwd", "system", "delete made/up", "rmdir made", "features")
		if os.Rename(p.path("resumed"), p.path("kept")) != nil {
			p.t.Error("reget fetched nothing:\n" + out)
		}
		p.got("kept", p.content)
		p.got("down", p.content)
		p.got("odd", []byte("in side"))
		p.stored("/moved", p.content)
		p.gone("/made", "/stored")
		p.lists(out, append([]string{"sub", "empty"}, peerNames...)...)
		tnftp("restart 350000", "put put put") // half of it is on the server
		p.stored("/put", p.content)
		tnftp("prompt", "cd names", "mget *", "cd ..", "append up moved", "delete moved")
		p.got("ha#sh", []byte("ha#sh"))
		p.run("", "-o", "byURL", stance, p.url("/sub/down"))
		p.got("byURL", p.content)
	})
}

func TestInteropNcftp(t *testing.T) {
	interop(t, "ncftpget", v4, func(p *peer) {
		args := []string{map[bool]string{false: "-F", true: "-E"}[p.active], "-u", "rw", "-p", "rw", "-P", p.port, "-r", "0", "-t", "10", "-d", "stderr"}
		get := p.prog
		put := peers.Client(p.t, "ncftpput")
		ncftp := func(prog string, more ...string) { p.prog = prog; p.run("", append(slices.Clone(args), more...)...) }
		ncftp(get, p.host, ".", "/sub/down")
		p.got("down", p.content)
		ncftp(get, "-T", p.host, ".", "/names/in side", "/names/ha#sh")
		p.got("in side", []byte("in side"))
		p.got("ha#sh", []byte("ha#sh"))
		ncftp(get, "-R", p.host, ".", "/names")
		p.got("names/é漢字😀", []byte("é漢字😀"))
		check(p.t, os.WriteFile(p.path("down"), p.content[:350_000], 0o644))
		ncftp(get, "-z", p.host, ".", "/sub/down")
		p.got("down", p.content)
		ncftp(put, p.host, "/", "up")
		p.stored("/up", p.content)
		ncftp(put, "-m", p.host, "/made/deep", "up")
		p.stored("/made/deep/up", p.content)
		// No -z: this ncftpput appends the whole file to what is there already.
		ncftp(put, "-A", p.host, "/", "up")
		p.stored("/up", append(slices.Clone(p.content), p.content...))
		ncftp(put, "-R", p.host, "/made", "names")
		p.stored("/made/names/semi;colon", []byte("semi;colon"))
	})
}
