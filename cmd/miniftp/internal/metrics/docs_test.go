package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
)

const (
	reference = "docs/metrics.md"
	alerts    = "docs/prometheus/alerts.yml"
	dashboard = "docs/grafana/miniftp.json"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(verbtest.InModule(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var labelPair = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// labelsOf returns the labels of each family with their values, as a server exposes them.
func labelsOf(exposed string) map[string][][2]string {
	all := map[string][][2]string{}
	for line := range strings.Lines(exposed) {
		f := familyOf([]byte(line))
		if strings.HasPrefix(line, "#") || f == nil {
			continue
		}
		if _, ok := all[f.name]; !ok {
			all[f.name] = nil
		}
		for _, pair := range labelPair.FindAllStringSubmatch(line, -1) {
			if one := [2]string{pair[1], pair[2]}; !slices.Contains(all[f.name], one) {
				all[f.name] = append(all[f.name], one)
			}
		}
	}
	return all
}

// free holds labels whose values the table does not list.
var free = map[string]string{
	"le": "", "quantile": "", "version": "", "goversion": "", // "": nothing is said about them
	"code": "three digits", "certificate": "a host or, without one, the name of a file", "reason": "see below", "setting": "see below", "source": "from the configuration", "verb": "of the command, or other",
	"user": "with a quota; at most 1000", "path": "`/` or a mount",
}

// table returns the table of docs/metrics.md, from what a server exposes.
func table() string {
	s := newServer()
	s.do(1, ftp.ControlOpened{}, reply("", 220))
	labels := labelsOf(string(s.expose(s.source())))
	var b strings.Builder
	b.WriteString("\n| metric | type | labels | what it is |\n|---|---|---|---|\n")
	for _, f := range families {
		var cells []string
		byName := map[string][]string{}
		var names []string
		for _, pair := range labels[f.name] {
			if byName[pair[0]] == nil {
				names = append(names, pair[0])
			}
			byName[pair[0]] = append(byName[pair[0]], pair[1])
		}
		for _, name := range names {
			said, isFree := free[name]
			if name == "version" && f.name == "miniftp_tls_handshakes_total" {
				isFree = false
			}
			switch {
			case isFree && said == "":
				cells = append(cells, "`"+name+"`")
			case isFree:
				cells = append(cells, "`"+name+"` ("+said+")")
			default:
				cells = append(cells, "`"+name+"` ("+strings.Join(byName[name], ", ")+")")
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, strings.Join(cells, ", "), strings.TrimSuffix(f.help, "."))
	}
	b.WriteString("\n")
	return b.String()
}

// refusals returns the table of the reasons.
func refusals() string {
	var b strings.Builder
	b.WriteString("\n| `reason` | `setting` |\n|---|---|\n")
	for i := range reasons {
		setting := settings.Deciding(ftp.Reason(i))
		if setting != "" {
			setting = "`" + setting + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", slug(ftp.Reason(i)), setting)
	}
	b.WriteString("\n")
	return b.String()
}

// TestDoc: the tables of docs/metrics.md are what a server exposes. make golden writes them.
func TestDoc(t *testing.T) {
	old := read(t, reference)
	want := verbtest.Between(t, old, "metrics", table())
	want = verbtest.Between(t, want, "reasons", refusals())
	if verbtest.Updating() {
		if err := os.WriteFile(verbtest.InModule(reference), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != want {
		t.Errorf("%s differs from what the code exposes: run make golden", reference)
	}
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(read(t, alerts), -1) {
		if !strings.Contains(old, "| `"+alert[1]+"` |") {
			t.Errorf("%s does not explain %s", reference, alert[1])
		}
	}
}

// expressions returns the PromQL expressions of the dashboard.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	var board struct {
		Title         string
		UID           string
		SchemaVersion int
		Panels        []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct {
				RefID string
				Expr  string
			}
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboard)), &board); err != nil {
		t.Fatal(err)
	}
	if board.Title == "" || board.UID == "" || board.SchemaVersion == 0 {
		t.Error("the dashboard can't be imported without a title, a uid and a version of its schema")
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("panel %d %q: its id is taken, or it has no title or no target", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Errorf("panel %q covers %q, or leaves the grid", p.Title, other)
					return nil
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	for _, v := range board.Templating.List {
		if inner, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
			all = append(all, inner[:strings.LastIndex(inner, ",")])
		}
	}
	return all
}

// ruleExpressions returns the PromQL expressions of the alerts.
func ruleExpressions(t *testing.T) (all []string) {
	t.Helper()
	inExpr := false
	for line := range strings.Lines(read(t, alerts)) {
		if expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: "); ok {
			all, inExpr = append(all, expr), true
		} else if strings.HasPrefix(line, "        for:") || strings.HasPrefix(line, "        labels:") {
			inExpr = false
		} else if inExpr {
			all[len(all)-1] += " " + strings.TrimSpace(line)
		}
	}
	return all
}

// selector matches the use of a metric in PromQL, with its label matchers.
var selector = regexp.MustCompile(`\b(miniftp_\w+|go_\w+|process_\w+)(\{[^}]*\})?`)

var matcher = regexp.MustCompile(`([a-z_]+)(=~|!=|!~|=)"([^"]*)"`)

// TestExpressions: each metric that the dashboard and the alerts use is exposed, and each label and value in a
// condition exists.
func TestExpressions(t *testing.T) {
	s := newServer()
	exposed := labelsOf(string(s.expose(s.source())))
	check := func(expr string) (used int) {
		for _, use := range selector.FindAllStringSubmatch(expr, -1) {
			used++
			f := familyOf([]byte(use[1] + " "))
			if f == nil {
				t.Errorf("%s: there is no %s", expr, use[1])
				continue
			}
			if isParts := f.name != use[1]; f.kind == histogram && !isParts {
				t.Errorf("%s: %s is a histogram", expr, use[1])
			}
			for _, m := range matcher.FindAllStringSubmatch(use[2], -1) {
				if m[1] == "job" || m[1] == "instance" {
					continue
				}
				values := []string{m[3]}
				if strings.HasSuffix(m[2], "~") {
					values = strings.Split(m[3], "|")
				}
				for _, v := range values {
					if m[1] != "setting" && !slices.Contains(exposed[f.name], [2]string{m[1], v}) {
						t.Errorf("%s: %s has no %s=%q from the start", expr, f.name, m[1], v)
					}
				}
			}
		}
		return used
	}
	for _, expr := range append(expressions(t), ruleExpressions(t)...) {
		if check(expr) == 0 && !strings.Contains(expr, "up{") {
			t.Errorf("%s uses no metric", expr)
		}
	}
	if n := len(ruleExpressions(t)); n != strings.Count(read(t, alerts), "alert: ") {
		t.Errorf("%d expressions were found in %s", n, alerts)
	}
	shown := strings.Join(expressions(t), "\n")
	for _, f := range families {
		if strings.HasPrefix(f.name, "miniftp_") && !strings.Contains(shown, f.name) {
			t.Errorf("the dashboard does not show %s", f.name)
		}
	}
}

// promtool runs promtool and fails the test if it finds a problem.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, verbtest.StockProgram(t, "promtool"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestAlerts checks the alerts with promtool, and the expressions of the dashboard as if they were rules.
func TestAlerts(t *testing.T) {
	verbtest.Long(t)
	promtool(t, "check", "rules", verbtest.InModule(alerts))
	dir := t.TempDir()
	cases, err := os.ReadFile("testdata/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for i, expr := range expressions(t) {
		expr = strings.NewReplacer("$__rate_interval", "5m").Replace(expr)
		rules += fmt.Sprintf("  - {record: 'panel:%d', expr: '%s'}\n", i, expr)
	}
	for name, text := range map[string]string{"alerts.yml": read(t, alerts), "test.yml": string(cases), "dashboard.yml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	promtool(t, "test", "rules", filepath.Join(dir, "test.yml"))
	promtool(t, "check", "rules", filepath.Join(dir, "dashboard.yml"))
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(read(t, alerts), -1) {
		if !strings.Contains(string(cases), "alertname: "+alert[1]+"\n        exp_alerts") {
			t.Errorf("no test raises %s", alert[1])
		}
	}
}
