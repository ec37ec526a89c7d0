package doctor

import (
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestSelf: doctor --self finds the server of this host and gets a greeting from each of its listeners, also from those
// that begin with TLS or expect a PROXY header.
func TestSelf(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", "")
	code, _, errs := try(t, "doctor", "--self")
	if code != verb.ExitConnect || !strings.Contains(errs, "no running server was found") {
		t.Errorf("without a server: exit %d: %s", code, errs)
	}
	for _, args := range [][]string{nil, {"--proxy-protocol", "127.0.0.0/8"}} {
		socket := filepath.Join(dir, "s")
		p := verbtest.Serve(t, verbs, append(args, "--control", socket, "--listen-tls", "127.0.0.1:0", "--tls-self-signed", dir)...)
		code, out, errs := try(t, "doctor", "--self", "--json", "--socket", socket)
		var j jsonSelf
		if err := json.Unmarshal([]byte(out), &j); err != nil || code != 0 {
			t.Fatalf("exit %d: %v: %s%s", code, err, out, errs)
		}
		if j.State != "healthy" || len(j.Listen) != 2 || j.Listen[0].Addr != p.Addr || !strings.HasPrefix(j.Listen[0].Reply, "220 ") || !strings.HasPrefix(j.Listen[1].Reply, "220 ") || !j.Listen[1].TLS {
			t.Errorf("%v: %s", args, out)
		}
		if code, out, _ := try(t, "doctor", "--self", "--socket", socket); code != 0 || strings.Count(out, "220 miniftp ready") != 2 || !strings.Contains(out, " is healthy: up ") {
			t.Errorf("exit %d: %s", code, out)
		}
		if c := j.Certificates; len(c) != 1 || c[0].Source != control.SelfSigned || c[0].NotAfter.Before(time.Now()) || len(c[0].Names) == 0 || !strings.Contains(out, `"not_after":`) {
			t.Errorf("the certificate is missing: %s", out)
		}
		if code, out, _ := try(t, "doctor", "--self", "--socket", socket); code != 0 || !strings.Contains(out, "self-signed.pem: the certificate is valid for another ") {
			t.Errorf("exit %d: %s", code, out)
		}
		if code, out, _ := try(t, "doctor", "-q", "--self", "--socket", socket); code != 0 || out != "" {
			t.Errorf("-q: exit %d: %s", code, out)
		}
		p.End()
		if log := p.Log.String(); strings.Contains(log, "session closed") {
			t.Errorf("checks are logged:\n%s", log)
		}
	}
	for _, args := range [][]string{{"--self", "ftp://127.0.0.1/"}, {"--self", "--write"}, {"--socket", "x", "."}, {}} {
		if code, _, errs := try(t, append([]string{"doctor"}, args...)...); code != verb.ExitUsage {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}

// TestSelfJudges: a listener that does not answer, or answers something else, is unhealthy. One that has no room for another
// session is healthy.
func TestSelfJudges(t *testing.T) {
	for greeting, healthy := range map[string]bool{"": false, "220 hello\r\n": true, "421 full\r\n": true, "SSH-2.0-x\r\n": false, "500 what\r\n": false} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, greeting)
			if strings.HasPrefix(greeting, "220") {
				_, _ = io.WriteString(conn, "221 bye\r\n")
			}
			_, _ = io.Copy(io.Discard, conn)
		}()
		at := selfListener{Listener: control.Listener{Addr: l.Addr().String()}}
		at.try(t.Context(), 300*time.Millisecond)
		if (at.err == nil) != healthy {
			t.Errorf("%q: %v", greeting, at.err)
		}
		_ = l.Close()
		<-ended
	}
}
