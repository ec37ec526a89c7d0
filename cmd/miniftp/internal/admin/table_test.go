package admin

import (
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/term"
)

// samples are sessions with short and long texts.
func samples(now time.Time) []sessions.Info {
	long := strings.Repeat("directory/", 20) + "the-end-of-the-name.iso"
	return []sessions.Info{
		{
			ID: 1, Server: "web1:21", User: "alice", From: "192.0.2.7:50312", TLS: "TLS 1.3", Since: now.Add(-time.Hour), Sent: 31e6,
			Doing: &sessions.Doing{Verb: "RETR", Path: "big.iso", Moved: 31e6, Total: 1e8, Rate: 1e6, Mode: "passive", Stance: "listens", Seconds: 31},
		},
		{
			ID: 1234567, Server: "a-long-name-of-a-server.example.org-[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:2121", User: strings.Repeat("用户", 30), From: "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:50312", TLS: "TLS 1.2",
			Since: now.Add(-100 * time.Hour), Received: 1e15, Doing: &sessions.Doing{Verb: "STOR", Path: long, Moved: 5e8, Rate: 123e6, Mode: "active", Stance: "dials"},
		},
		{ID: 3, Server: "web1:21", From: "198.51.100.1:1", TLS: "clear", Since: now, Idle: 12},
		{ID: 4, Server: "web1:21", User: "bob", From: "192.0.2.7:50313", TLS: "clear", Since: now.Add(-time.Minute), Idle: 4000, Last: "CWD " + long},
		{ID: 5, Server: "web1:21", User: "eve\x1b[31m", From: "192.0.2.7:50314", TLS: "clear", Since: now, Doing: &sessions.Doing{Verb: "HASH", Path: "x", Seconds: 75}},
		{ID: 6, Server: "web1:21", From: "192.0.2.7:50314", TLS: "clear", Since: now, Doing: &sessions.Doing{Verb: "PASS", Path: "****"}},
	}
}

// TestTableFits: no line is wider than the terminal, and each says who does what.
func TestTableFits(t *testing.T) {
	t.Setenv("LANG", "C.UTF-8")
	now := time.Now()
	all := samples(now)
	for _, several := range []bool{false, true} {
		for _, width := range []int{40, 60, 80, 109, 110, 139, 140, 200, 300} {
			lines := table(all, width, several, now)
			if len(lines) != len(all)+1 {
				t.Fatalf("%d lines", len(lines))
			}
			for i, line := range lines {
				if n := term.Cells(line); n > width {
					t.Errorf("%d columns instead of %d: %s", n, width, line)
				}
				if strings.Contains(line, "\x1b") {
					t.Errorf("control characters in %q", line)
				}
				if want := []string{"USER", "RETR", "STOR", "no login", "idle", "HASH", "log"}[i]; width >= 60 && !strings.Contains(line, want) {
					t.Errorf("%d columns: no %s in %s", width, want, line)
				}
			}
			if t.Failed() {
				t.Log("\n" + strings.Join(lines, "\n"))
			}
		}
	}
}

// TestQuotaColumn: a wide table shows how full the fullest quota of a user is, if any user has one.
func TestQuotaColumn(t *testing.T) {
	now := time.Now()
	all := samples(now)
	if head := table(all, 200, false, now)[0]; strings.Contains(head, "QUOTA") {
		t.Errorf("a column without quotas: %s", head)
	}
	all = sessions.WithQuotas(all, []sessions.Quota{
		{User: "alice", Path: "/", Bytes: 5, MaxBytes: 10}, {User: "alice", Path: "/in", Bytes: 7, Files: 87, MaxFiles: 100}, {User: "nobody", Path: "/", Bytes: 9, MaxBytes: 9},
	})
	if lines := table(all, 200, false, now); !strings.Contains(lines[0], "QUOTA") || !strings.Contains(lines[1], " 87 % ") || strings.Contains(lines[3], "%") {
		t.Errorf("\n%s", strings.Join(lines, "\n"))
	}
	if lines := table(all, 100, false, now); strings.Contains(lines[0], "QUOTA") {
		t.Errorf("a narrow table has the column: %s", lines[0])
	}
	if got := all[0].QuotaText(); got != "/ 5 B of 10 B, /in 87 of 100 files" {
		t.Errorf("QuotaText returns %q", got)
	}
}

// TestDoingText: what is left out first if there is little room.
func TestDoingText(t *testing.T) {
	t.Setenv("LANG", "C.UTF-8")
	all := samples(time.Now())
	for _, tt := range []struct {
		session, room int
		want          string
	}{
		{0, 100, "RETR big.iso  31 % of 100 MB  1.0 MB/s  1:09 left"},
		{0, 40, "RETR big.iso  31 %  1.0 MB/s"},
		{0, 20, "RETR big.iso  31 %"},
		{0, 14, "RETR big.iso"},
		{1, 60, ""},
		{2, 60, "no login, idle 0:12"},
		{4, 60, "HASH x  1:15"},
		{5, 60, "logging in"},
	} {
		got := doing(&all[tt.session], tt.room, false)
		if tt.session == 1 {
			if term.Cells(got) > tt.room || !strings.HasPrefix(got, "STOR dir") || !strings.HasSuffix(got, "name.iso  500 MB  123 MB/s") {
				t.Errorf("%q", got)
			}
			continue
		}
		if got != tt.want {
			t.Errorf("%d columns: %q, want %q", tt.room, got, tt.want)
		}
	}
}

// TestRates: the rate of a session is that since the last look, and the fastest is the first.
func TestRates(t *testing.T) {
	now := time.Now()
	var r rates
	first := []sessions.Info{{ID: 1, Sent: 1000}, {ID: 2, Received: 0, Doing: &sessions.Doing{Mode: "passive", Rate: 7}}}
	r.look(first, now, nil)
	if first[0].ID != 2 || r.sent != 0 {
		t.Errorf("at first: %+v, %+v", first, r)
	}
	second := []sessions.Info{{ID: 1, Sent: 5000}, {ID: 2, Received: 2000, Doing: &sessions.Doing{Mode: "passive", Rate: 7}}}
	r.look(second, now.Add(2*time.Second), first)
	if second[0].ID != 1 || second[1].Doing.Rate != 1000 || r.sent != 2000 || r.recv != 1000 {
		t.Errorf("then: %+v, %+v", second, r)
	}
}
