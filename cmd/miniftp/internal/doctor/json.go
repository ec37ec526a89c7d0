package doctor

import (
	"math"
	"slices"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
)

// jsonReport is the output of doctor --json.
type jsonReport struct {
	URL      string         `json:"url"`
	Works    bool           `json:"works"`
	Use      string         `json:"use,omitempty"` // a command to type
	Exit     int            `json:"exit"`
	Error    string         `json:"error,omitempty"`
	Server   jsonServer     `json:"server"`
	Steps    []jsonStep     `json:"steps"`
	Grid     []jsonRow      `json:"grid"`
	Checks   jsonChecks     `json:"checks"`
	Findings []*jsonFinding `json:"findings"`
}

type jsonServer struct {
	Greeting string   `json:"greeting,omitempty"`
	System   string   `json:"system,omitempty"`  // the reply to SYST
	Product  string   `json:"product,omitempty"` // if it is known
	Missing  []string `json:"missing"`           // features that FEAT does not list
}

type jsonStep struct {
	Name string  `json:"name"`
	MS   float64 `json:"ms"`
}

type jsonRow struct {
	Family     string              `json:"family"`
	Address    string              `json:"address,omitempty"`
	Protection string              `json:"protection"`      // clear, TLS 1.2, TLS 1.3
	Aside      string              `json:"aside,omitempty"` // why it was not tried, if that is not a fault
	Error      string              `json:"error,omitempty"`
	Resumes    bool                `json:"session_reused"`
	Needs      *bool               `json:"session_reuse_required,omitempty"`
	Ways       map[string]jsonCell `json:"ways"`
}

type jsonCell struct {
	State     string  `json:"state"`               // untried, absent, unread, works, fails
	Finding   int     `json:"finding,omitempty"`   // number of the finding about it
	Announced string  `json:"announced,omitempty"` // the address that was announced
	Reply     string  `json:"reply,omitempty"`
	MS        float64 `json:"ms,omitempty"`
	Error     string  `json:"error,omitempty"`
}

type jsonChecks struct {
	Restart     string           `json:"restart"`
	File        string           `json:"file,omitempty"` // the file that was read
	Bytes       int64            `json:"bytes,omitempty"`
	Sizes       map[string]int64 `json:"sizes,omitempty"` // reported sizes by command
	MLSD        string           `json:"mlsd"`
	ListZone    *float64         `json:"list_zone_hours,omitempty"` // times of LIST minus UTC
	Reuse       string           `json:"tls_session_reuse,omitempty"`
	TLSVersions []string         `json:"tls_versions,omitempty"`
	Alone       bool             `json:"one_connection_only"`
	Upload      string           `json:"upload,omitempty"`
}

type jsonFinding struct {
	N        int    `json:"n"`
	Code     string `json:"code"`
	Severity string `json:"severity"` // error, warning, note
	Who      string `json:"who"`
	What     string `json:"what"`
	Do       string `json:"do"`
}

var cellStates = [...]string{"untried", "absent", "unread", "works", "fails"}

// json returns the report as data.
func (s *report) json() jsonReport {
	x := s.x
	j := jsonReport{
		URL: x.url, Works: s.command != "", Use: s.command, Exit: verb.ExitCode(s.err),
		Server: jsonServer{Greeting: x.greetingText(), System: x.system, Missing: []string{}},
		Steps:  []jsonStep{}, Grid: []jsonRow{}, Findings: []*jsonFinding{}, Checks: x.jsonChecks(),
	}
	if s.err != nil {
		j.Error = s.err.Error()
	}
	if x.server != nil {
		j.Server.Product = x.server.Name
	}
	if x.hasFEAT {
		j.Server.Missing = append(j.Server.Missing, x.missing()...)
	}
	for _, t := range x.steps {
		j.Steps = append(j.Steps, jsonStep{t.name, inMillis(t.took)})
	}
	for _, r := range x.rows {
		j.Grid = append(j.Grid, s.jsonRow(r))
	}
	for _, f := range s.findings {
		j.Findings = append(j.Findings, &jsonFinding{f.n, f.code, f.level.String(), f.who, f.what, f.do})
	}
	return j
}

func inMillis(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }

func (x *exam) jsonChecks() jsonChecks {
	k := &x.checks
	c := jsonChecks{Restart: string(k.restart), File: k.file, Bytes: k.received, Reuse: x.tlsWords(), TLSVersions: x.versions(), Alone: k.oneOnly}
	if c.Restart == "" {
		c.Restart = string(notTried)
	}
	switch {
	case k.mlsdRefused:
		c.MLSD = string(refused)
	case !x.asked || x.featErr != nil:
		c.MLSD = notAsked
	default:
		c.MLSD = yesNo(x.hasMLSD())
	}
	for _, t := range k.sizes {
		if c.Sizes == nil {
			c.Sizes = map[string]int64{}
		}
		c.Sizes[t.by] = t.size
	}
	if off, ok := k.zone(); ok {
		h := off.Hours()
		c.ListZone = &h
	}
	if k.write != nil {
		c.Upload = k.write.String()
	}
	return c
}

func (s *report) jsonRow(r *gridRow) jsonRow {
	j := jsonRow{Family: r.family, Protection: r.protection(), Aside: r.aside(s.x), Resumes: r.resumes, Ways: map[string]jsonCell{}}
	if r.addr.IsValid() {
		j.Address = r.addr.String()
	}
	if r.err != nil {
		j.Error = r.err.Error()
	}
	if r.noReuse != nil {
		needs := s.x.needsReuse(r)
		j.Needs = &needs
	}
	for way := range r.cells {
		c := &r.cells[way]
		out := jsonCell{State: cellStates[c.state], MS: inMillis(c.took)}
		if i := slices.IndexFunc(s.findings, func(f *finding) bool { return slices.Contains(f.cells, c) }); i >= 0 {
			out.Finding = s.findings[i].n
		}
		if c.announced.IsValid() {
			out.Announced = c.announced.String()
		}
		if c.reply.Code != 0 {
			out.Reply = c.reply.String()
		}
		if c.err != nil {
			out.Error = c.err.Error()
		}
		j.Ways[ways[way]] = out
	}
	return j
}
