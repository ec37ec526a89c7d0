package bench

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"miniftp/ftp/internal/peers"
)

// The kinds of task for a client.
const (
	get  = "get"  // a file
	put  = "put"  // a file
	down = "down" // all files of a directory
	up   = "up"   // all files of a directory
)

// work is a task. remote is a path on the server without a leading slash, and local a path on this
// host.
type work struct {
	do            string
	plain         bool // see clientRow
	remote, local string
	files         int // the number of files in the directory
	sessions      int
}

// clientNames holds the clients in the order of their columns, miniftp first.
var clientNames = []string{"miniftp", "curl", "lftp", "wget", "ncftp", "rclone"}

// command returns the command with which a client does w with the server at addr, or nil if the
// client does not support it.
func (l *lab) command(client string, w work, addr string, t *target) []string {
	host, port, _ := net.SplitHostPort(addr)
	user := t.user + ":" + t.password
	url := fmt.Sprintf("ftp://%s@%s/%s", user, addr, w.remote)
	n := strconv.Itoa(w.sessions)
	switch client {
	case "miniftp":
		flags := []string{l.bin, map[string]string{get: "get", put: "put", down: "mirror", up: "mirror"}[w.do], "-q", "-j", n}
		if w.plain {
			flags = []string{l.bin, map[string]string{down: "get", up: "put"}[w.do], "-r", "-q", "-j", n}
		}
		if w.do == get || w.do == down {
			return append(flags, url, w.local)
		}
		return append(flags, w.local, url)
	case "curl":
		return curl(w, url)
	case "lftp":
		return lftp(w, fmt.Sprintf("open -u %s,%s ftp://%s", t.user, t.password, addr))
	case "wget":
		return wget(w, url)
	case "ncftp":
		return ncftp(w, []string{"-V", "-u", t.user, "-p", t.password, "-P", port, host})
	case "rclone":
		return rclone(w, []string{"--config=", "--ftp-host", host, "--ftp-port", port, "--ftp-user", t.user, "--ftp-pass", obscured(t.password)})
	}
	return nil
}

// curl does not transfer directories, so it gets all names.
func curl(w work, url string) []string {
	argv := []string{"curl", "-sS"}
	if w.sessions > 1 {
		argv = append(argv, "-Z", "--parallel-max", strconv.Itoa(w.sessions))
	}
	all := fmt.Sprintf("/f[%06d-%06d]", 1, w.files)
	switch {
	case w.do == down:
		return append(argv, "-o", w.local+"/f#1", url+all)
	case w.do == up:
		return append(argv, "-T", w.local+all, url+"/")
	case w.sessions > 1:
		return nil
	case w.do == get:
		return append(argv, "-o", w.local, url)
	}
	return append(argv, "-T", w.local, url)
}

// lftp gets the settings that make it fast with several sessions.
func lftp(w work, open string) []string {
	script := []string{"set net:max-retries 2", "set cmd:fail-exit yes"}
	tuned := w.sessions > 1
	if tuned {
		script = append(script, "set ftp:sync-mode off", "set ftp:use-mlsd yes", fmt.Sprintf("set net:connection-limit %d", w.sessions))
	}
	script = append(script, open)
	many := fmt.Sprintf(" -P %d", w.sessions)
	if !tuned {
		many = ""
	}
	switch {
	case w.do == down:
		script = append(script, fmt.Sprintf("mirror%s %s %s", many, w.remote, w.local))
	case w.do == up:
		script = append(script, fmt.Sprintf("mirror -R%s %s %s", many, w.local, w.remote))
	case w.do == get && tuned:
		script = append(script, fmt.Sprintf("pget -n %d %s -o %s", w.sessions, w.remote, w.local))
	case w.do == get:
		script = append(script, fmt.Sprintf("get %s -o %s", w.remote, w.local))
	case tuned:
		return nil
	default:
		script = append(script, fmt.Sprintf("put %s -o %s", w.local, w.remote))
	}
	return []string{"lftp", "--norc", "-c", strings.Join(script, "; ")}
}

func wget(w work, url string) []string {
	switch {
	case w.sessions > 1:
	case w.do == get:
		return []string{"wget", "-q", "-O", w.local, url}
	case w.do == down:
		return []string{"wget", "-q", "-r", "-nH", "--cut-dirs=1", "-P", w.local, url + "/"}
	}
	return nil
}

// ncftpget and ncftpput keep the names of files, so one of their arguments is a directory.
func ncftp(w work, at []string) []string {
	if w.sessions > 1 {
		return nil
	}
	switch w.do {
	case get:
		return append(append([]string{"ncftpget"}, at...), filepath.Dir(w.local), w.remote)
	case put:
		return append(append([]string{"ncftpput"}, at...), filepath.Dir(w.remote), w.local)
	case down:
		return append(append([]string{"ncftpget", "-R"}, at...), w.local, w.remote)
	}
	return append(append([]string{"ncftpput", "-R"}, at...), w.remote, w.local)
}

// rclone cannot be limited to one session: it may open another for each kind of operation.
func rclone(w work, at []string) []string {
	n := strconv.Itoa(w.sessions)
	remote := ":ftp:" + w.remote
	switch {
	case w.do == get && w.sessions == 1:
		return append([]string{"rclone", "copyto", "--multi-thread-streams", "0", remote, w.local}, at...)
	case w.do == put && w.sessions == 1:
		return append([]string{"rclone", "copyto", w.local, remote}, at...)
	case w.do == down && w.sessions > 1:
		return append([]string{"rclone", "copy", "--transfers", n, "--checkers", n, remote, w.local}, at...)
	case w.do == up && w.sessions > 1:
		return append([]string{"rclone", "copy", "--transfers", n, "--checkers", n, w.local, remote}, at...)
	}
	return nil
}

// obscured returns a password in the form that rclone expects.
func obscured(password string) string {
	out, err := exec.Command("rclone", "obscure", password).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// installed returns the path of a client's program. .ci/peers does not install rclone, so it is
// measured only where it is installed.
func installed(s *scope, argv []string) []string {
	if argv[0] == "rclone" {
		path, err := exec.LookPath("rclone")
		if err != nil {
			s.Skipf("rclone is not installed")
		}
		return append([]string{path}, argv[1:]...)
	}
	if filepath.IsAbs(argv[0]) {
		return argv
	}
	return append([]string{peers.Client(s, argv[0])}, argv[1:]...)
}
