package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// briefBench holds arguments that make every row short.
var briefBench = []string{"bench", "--time", "10s", "--count", "2", "--size", "300K", "--sessions", "5", "--entries", "7", "--at-once", "3", "--timeout", "1m"}

// benched runs bench --json and returns its rows by name.
func benched(t *testing.T, args ...string) (code int, report report, rows map[string]reportRow, errs string) {
	t.Helper()
	code, out, errs := try(t, slices.Concat(briefBench, []string{"--json"}, args)...)
	if err := json.Unmarshal([]byte(out), &report); err != nil && out != "" {
		t.Fatalf("%v in %q", err, out)
	}
	rows = map[string]reportRow{}
	for _, r := range report.Rows {
		rows[r.Name] = r
	}
	return code, report, rows, errs
}

// TestBenchRows: every row runs in both modes, over IPv6 and TLS, and no file is left.
func TestBenchRows(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	for _, tt := range []struct {
		name       string
		flags      []string
		options    []ftptest.Option
		scheme     string
		protection string
		mode       string
	}{
		{"passive", nil, nil, "ftp", "clear", "passive"},
		{"active", []string{"--active"}, nil, "ftp", "clear", "active"},
		{"IPv6", nil, []ftptest.Option{ftptest.WithIPv6()}, "ftp", "clear", "passive"},
		{"TLS", []string{"--insecure"}, []ftptest.Option{ftptest.WithTLS()}, "ftpes", "TLS 1.3", "passive"},
		{"TLS, active, resumed", []string{"--insecure", "--active"}, []ftptest.Option{ftptest.WithTLS(), ftptest.WithOptions(func(o *server.Options) { o.SessionReuse = dtp.ReuseRequire })}, "ftpes", "TLS 1.3", "active"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := afero.NewMemMapFs()
			srv := ftptest.NewServer(t, fsys, tt.options...)
			url := tt.scheme + strings.TrimPrefix(srv.URL, "ftp")
			code, report, rows, errs := benched(t, append(tt.flags, url+"/")...)
			if code != verb.ExitOK || errs != "" {
				t.Fatalf("exit %d, %s", code, errs)
			}
			if report.Protection != tt.protection || report.Mode != tt.mode || !strings.HasPrefix(report.Greeting, "220 ") || report.URL != url+"/" {
				t.Errorf("the report begins %+v", report)
			}
			if len(report.Rows) != len(allRows()) {
				t.Errorf("the report has %d rows, want %d", len(report.Rows), len(allRows()))
			}
			for name, want := range map[string]struct{ n, bytes int64 }{
				"login": {2, 0}, "get-small": {2, 8 << 10}, "put-small": {2, 8 << 10}, "get-large": {2, 600 << 10}, "put-large": {2, 600 << 10},
				"get-text": {2, 2 * 300 << 10 / 4 / 60 * 61}, "data": {2, 0}, "latency": {2, 0}, "pipeline": {50, 0}, "idle": {5, 0}, "many": {5, 5 << 20},
			} {
				r := rows[name]
				if r.N != want.n || r.Bytes != want.bytes || r.Rate <= 0 || r.Seconds <= 0 || r.Error != "" || r.Failures != 0 || r.LeftOut != "" {
					t.Errorf("%s: %+v, want %+v", name, r, want)
				}
			}
			for _, name := range []string{"list", "mlsd"} {
				if r := rows[name]; r.N != 2 || r.Entries != 7 || r.Bytes == 0 || r.First <= 0 || r.Unit != "entries/s" {
					t.Errorf("%s: %+v", name, r)
				}
			}
			if all := verbtest.AllNames(t, fsys); len(all) != 0 {
				t.Errorf("left behind: %v", all)
			}
		})
	}
}

// TestBenchOldVerbs: if the server does not support EPSV or EPRT, PASV and PORT are used.
func TestBenchOldVerbs(t *testing.T) {
	for mode, verbs := range map[string][2]string{"--passive": {"EPSV", "PASV"}, "--active": {"EPRT", "PORT"}} {
		srv := ftptest.NewServer(t, afero.NewMemMapFs())
		srv.Fail(verbs[0], ftptest.Reply(500, "unknown"))
		code, _, rows, errs := benched(t, mode, "--only", "get-small,mlsd", srv.URL+"/")
		if code != verb.ExitOK || rows["get-small"].N != 2 || rows["mlsd"].N != 2 {
			t.Errorf("%s: exit %d, %+v, %s", mode, code, rows, errs)
		}
	}
}

// TestBenchReadOnly: if uploads are refused, existing files are read.
func TestBenchReadOnly(t *testing.T) {
	fsys := afero.NewMemMapFs()
	for name, size := range map[string]int{"/pub/a": 10, "/pub/b": 5000, "/pub/none": 0} {
		if err := afero.WriteFile(fsys, name, verbtest.Pattern(size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	srv := ftptest.NewServer(t, fsys, ftptest.WithUser("reader", "secret", server.ReadOnly))
	url := "ftp://reader:secret@" + srv.Addr
	code, _, rows, errs := benched(t, url+"/pub/")
	if code != verb.ExitOK || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	for name, want := range map[string]int64{"get-small": 20, "get-large": 10_000, "many": 25_000, "data": 0} {
		if r := rows[name]; r.Bytes != want || r.N == 0 {
			t.Errorf("%s: %+v, want %d bytes", name, r, want)
		}
	}
	for _, name := range []string{"put-small", "put-large"} {
		if r := rows[name]; !strings.Contains(r.LeftOut, "uploads are refused: the server says 550") || r.N != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if rows["list"].Entries != 3 || rows["mlsd"].Entries != 3 {
		t.Errorf("list: %+v, mlsd: %+v, want 3 entries", rows["list"], rows["mlsd"])
	}
	if got := verbtest.AllNames(t, fsys); len(got) != 4 {
		t.Errorf("the server now has %v", got)
	}

	empty := ftptest.NewServer(t, afero.NewMemMapFs(), ftptest.WithUser("reader", "secret", server.ReadOnly))
	code, _, rows, errs = benched(t, "--only", "get-small,many,list", "ftp://reader:secret@"+empty.Addr+"/")
	if code != verb.ExitOK || errs != "" || rows["get-small"].LeftOut == "" || rows["many"].LeftOut == "" || rows["list"].LeftOut == "" {
		t.Errorf("an empty directory: exit %d, %+v, %s", code, rows, errs)
	}
}

// TestBenchRefusals: a row whose command is not supported is left out. A row that is refused is reported, and
// the next row runs.
func TestBenchRefusals(t *testing.T) {
	fsys := afero.NewMemMapFs()
	srv := ftptest.NewServer(t, fsys)
	srv.Fail("MLSD", ftptest.Reply(500, "MLSD not understood"))
	srv.Fail("RETR", ftptest.Reply(550, "not today"))
	code, _, rows, errs := benched(t, "--only", "get-small,mlsd,latency", srv.URL+"/")
	if code != verb.ExitRefused || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "get-small: the server says 550 not today") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if rows["mlsd"].LeftOut != "the server does not support MLSD" || rows["latency"].N != 2 || !strings.Contains(rows["get-small"].Error, "not today") {
		t.Errorf("%+v", rows)
	}
	if all := verbtest.AllNames(t, fsys); len(all) != 0 {
		t.Errorf("left behind: %v", all)
	}
}

// TestBenchServerDies: if the server dies or stops answering, the run ends with one line.
func TestBenchServerDies(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	for _, tt := range []struct {
		name, verb string
		fault      ftptest.Fault
		row, want  string
		code       int
	}{
		{"control connection", "RETR", ftptest.HangUp(), "get-small", "the control connection is gone", verb.ExitConnect},
		{"data cut", "RETR", ftptest.CutAfter(1000), "get-small", "", verb.ExitIncomplete},
		{"silence", "NOOP", ftptest.Silence(), "latency", "no answer", verb.ExitConnect},
		{"downloads at once", "RETR", ftptest.HangUp(), "many", "the control connection is gone", verb.ExitConnect},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := afero.NewMemMapFs()
			srv := ftptest.NewServer(t, fsys)
			srv.Fail(tt.verb, tt.fault)
			code, _, _, errs := benched(t, "--time", "100ms", "--timeout", "2s", "--only", tt.row+",pipeline", srv.URL+"/")
			if code != tt.code || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, tt.want) {
				t.Errorf("exit %d, want %d; %s", code, tt.code, errs)
			}
			if all := verbtest.AllNames(t, fsys); len(all) != 0 {
				t.Errorf("left behind: %v", all)
			}
		})
	}
}

// TestBenchLeftBehind: files that can't be deleted are reported.
func TestBenchLeftBehind(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	fsys := afero.NewMemMapFs()
	srv := ftptest.NewServer(t, fsys)
	srv.Fail("DELE", ftptest.Reply(550, "it stays"))
	code, _, rows, errs := benched(t, "--only", "get-small", srv.URL+"/")
	if code != verb.ExitRefused || !strings.Contains(errs, srv.URL+"/miniftp-bench-") || !strings.Contains(errs, " could not be deleted: ") || rows["get-small"].N != 2 {
		t.Errorf("exit %d, %s, %+v", code, errs, rows)
	}
}

// TestBenchInterrupted: an interrupt ends every kind of row, and all files are deleted.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		row  string
		seen func(e ftp.Event) bool
	}{
		{"put-large", func(e ftp.Event) bool {
			c, ok := e.What.(ftp.CommandGiven)
			return ok && c.Command.Verb == "STOR" && c.Command.Arg == "up-large"
		}},
		{"mlsd", func(e ftp.Event) bool {
			c, ok := e.What.(ftp.CommandGiven)
			return ok && strings.HasSuffix(c.Command.Arg, "file-0000100.dat")
		}},
		{"many", func(e ftp.Event) bool {
			c, ok := e.What.(ftp.CommandGiven)
			return ok && c.Command.Verb == "RETR"
		}},
	} {
		t.Run(tt.row, func(t *testing.T) {
			fsys := afero.NewMemMapFs()
			srv := ftptest.NewServer(t, fsys)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				srv.WaitEvent(tt.seen)
				cancel()
			}()
			var out, errs bytes.Buffer
			args := []string{"miniftp", "bench", "--time", "1h", "--timeout", "10m", "--entries", "100000", "--size", "16M", "--only", tt.row, srv.URL + "/"}
			exit := flags.Run(ctx, verbs, args, verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs})
			if exit != verb.ExitInterrupted || errs.String() != "miniftp: interrupted\n" {
				t.Errorf("exit %d, %q", exit, errs.String())
			}
			if all := verbtest.AllNames(t, fsys); len(all) != 0 {
				t.Errorf("left behind: %v", all)
			}
		})
	}
}

// TestBenchUsage: other hosts are refused without --yes, and numbers must be within their limits.
func TestBenchUsage(t *testing.T) {
	t.Setenv("ALL_PROXY", "")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"ftp://192.0.2.1/"}, "192.0.2.1 is not this machine"},
		{[]string{"ftp://[2001:db8::1]/"}, "add --yes if the server is yours"},
		{[]string{"--proxy", "socks5://127.0.0.1:9", "ftp://127.0.0.1/"}, "through the proxy"},
		{[]string{"--size", "65G", "ftp://127.0.0.1/"}, "at most 64G"},
		{[]string{"--size", "0", "ftp://127.0.0.1/"}, "--size"},
		{[]string{"--size", "99999999999G", "ftp://127.0.0.1/"}, "--size"},
		{[]string{"--sessions", "10001", "ftp://127.0.0.1/"}, "from 1 to 10000"},
		{[]string{"--at-once", "1001", "ftp://127.0.0.1/"}, "from 1 to 1000"},
		{[]string{"--at-once", "0", "ftp://127.0.0.1/"}, "from 1 to 1000"},
		{[]string{"--entries", "1000001", "ftp://127.0.0.1/"}, "from 1 to 1000000"},
		{[]string{"--count", "1000000001", "ftp://127.0.0.1/"}, "to 1000000000"},
		{[]string{"--count", "-1", "ftp://127.0.0.1/"}, "--count -1"},
		{[]string{"--time", "0s", "ftp://127.0.0.1/"}, "greater than 0"},
		{[]string{"--only", "get-smal", "ftp://127.0.0.1/"}, "the rows are login, get-small"},
		{[]string{"--server-pid", "-3", "ftp://127.0.0.1/"}, "--server-pid"},
		{[]string{"--rate", "1M", "ftp://127.0.0.1/"}, "bench does not support --rate"},
		{[]string{}, "takes URL"},
	} {
		code, out, errs := try(t, append([]string{"bench"}, tt.args...)...)
		if code != verb.ExitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: exit %d, %q, %q", tt.args, code, out, errs)
		}
	}
}

// TestBenchTable: the table is at most 80 columns wide.
func TestBenchTable(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	srv := ftptest.NewServer(t, afero.NewMemMapFs())
	args := briefBench
	if runtime.GOOS == "linux" {
		args = append(slices.Clone(args), "--server-pid", fmt.Sprint(os.Getpid()))
	}
	code, out, errs := try(t, append(slices.Clone(args), srv.URL+"/")...)
	if code != verb.ExitOK || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	for i, line := range strings.Split(out, "\n") {
		if term.Cells(line) > flags.HelpWidth && i > 0 {
			t.Errorf("%d columns: %s", term.Cells(line), line)
		}
	}
	for _, want := range []string{srv.URL + "/   220 ", "clear, passive\n", "own CPU\n", "\nlogin ", " MB/s ", "first byte", "sessions, opened in", "5 downloads at once"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestBenchServerPID: with --server-pid, the process and its descendants are measured.
func TestBenchServerPID(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("--server-pid needs /proc")
	}
	srv := ftptest.NewServer(t, afero.NewMemMapFs())
	_, _, rows, errs := benched(t, "--only", "idle,latency", "--server-pid", fmt.Sprint(os.Getpid()), srv.URL+"/")
	for _, name := range []string{"idle", "latency"} {
		if r := rows[name]; r.ServerCPU == nil || r.RSS == 0 || r.PSS == 0 {
			t.Errorf("%s: %+v, %s", name, r, errs)
		}
	}
	if rows["idle"].PSSEach == nil {
		t.Errorf("idle has no PSS per session: %+v", rows["idle"])
	}
	if own := (&serverProcess{os.Getpid()}); !slices.Contains((&serverProcess{os.Getppid()}).family(), os.Getpid()) || own.family()[0] != os.Getpid() {
		t.Error("the descendants of the parent do not include this process")
	}
}

// TestHistogram: quantiles are right within the width of a bucket.
func TestHistogram(t *testing.T) {
	var h histogram
	if h.at(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	h.add(-time.Second) // as when the clock is set back
	for part, want := range map[float64]time.Duration{0: 0, 0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.at(part); got < want-want/50 || got > want+want/50 {
			t.Errorf("%v: %v, want about %v", part, got, want)
		}
	}
	h.add(1<<63 - 1)
	if h.at(1) != 1<<63-1 || h.most != 1<<63-1 {
		t.Errorf("the longest: %v", h.at(1))
	}
}

// TestBenchSize: the values of --size.
func TestBenchSize(t *testing.T) {
	for s, want := range map[string]int64{"1": 1, "4K": 4096, "256M": 256 << 20, "2g": 2 << 30, "64G": 64 << 30, "1.5G": 3 << 29, "2GiB": 2 << 30, "1kB": 1024} {
		if got, err := parseSize(s); got != want || err != nil {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "K", "-1", "1T", "65G", "9223372036854775807", "99999999999999999999"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}
