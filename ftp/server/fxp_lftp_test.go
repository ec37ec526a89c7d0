package server_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/server"
)

// TestFXPByLftp lets lftp copy between two of our servers, with and without TLS, with either of them listening,
// and with either of them as the TLS client.
func TestFXPByLftp(t *testing.T) {
	parallel(t)
	program := peers.Client(t, "lftp")
	body := string(random(1 << 20))
	for _, secure := range []bool{false, true} {
		for _, sourceListens := range []bool{true, false} {
			for _, passiveSSCN := range []bool{true, false} {
				if !secure && !passiveSSCN {
					continue
				}
				t.Run(fmt.Sprintf("TLS %v, source listens %v, SSCN where it listens %v", secure, sourceListens, passiveSSCN), func(t *testing.T) {
					noLeaks(t)
					change := []func(*server.Options){withFXP}
					if secure {
						change = append(change, requireTLS, func(o *server.Options) { o.SessionReuse = dtp.ReuseRequire })
					}
					from, to := fsroot.NewMem(), fsroot.NewMem()
					a, b := startPlain(t, "127.0.0.1:0", from, change...), startPlain(t, "127.0.0.1:0", to, change...)
					write(t, from, "/f", body)
					script := []string{
						"debug -o /dev/stderr 9", "set cmd:fail-exit yes", "set net:max-retries 1", "set net:timeout 20", "set ftp:use-fxp yes",
						"set net:socket-bind-ipv4 127.0.0.3", "set ssl:verify-certificate no", "set ftp:ssl-protect-data yes",
						fmt.Sprintf("set ftp:ssl-force %v", secure), fmt.Sprintf("set ftp:ssl-allow %v", secure), fmt.Sprintf("set ftp:ssl-protect-fxp %v", secure),
						fmt.Sprintf("set ftp:fxp-passive-source %v", sourceListens), fmt.Sprintf("set ftp:fxp-passive-sscn %v", passiveSSCN),
						"get ftp://rw:rw@" + a.addr + "/f -o ftp://rw:rw@" + b.addr + "/copy", "exit",
					}
					out, err := exec.Command(program, "--norc", "-c", strings.Join(script, "\n")).CombinedOutput()
					said := string(out)
					if err != nil || strings.Contains(said, "giving up") || strings.Contains(said, "reverting to plain") {
						t.Fatalf("%v\n%s", err, said)
					}
					if want := "SSCN ON"; secure != (strings.Contains(said, want) || strings.Contains(said, "CPSV")) {
						t.Errorf("lftp did not negotiate which server is the TLS client:\n%s", said)
					}
					if got := read(t, to, "/copy"); got != body {
						t.Errorf("the copy is %d bytes\n%s", len(got), said)
					}
				})
			}
		}
	}
}
