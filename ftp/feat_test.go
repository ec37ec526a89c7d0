package ftp

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseFeatures(t *testing.T) {
	tests := []struct {
		name  string
		reply Reply
		want  Features
	}{
		{
			"RFC 2389", NewReply(211, "Extensions:", " SIZE", " MLST size*;create;", "End"),
			Features{"SIZE": "", "MLST": "size*;create;"},
		},
		{
			"lower case, tabs, no blank", NewReply(211, "Features", "utf8", "\tRest STREAM ", "End"),
			Features{"UTF8": "", "REST": "STREAM"},
		},
		{
			"a code on each line", NewReply(211, "Features", "211-MDTM", "211-AUTH TLS", "End"),
			Features{"MDTM": "", "AUTH": "TLS"},
		},
		{
			"a verb on several lines", NewReply(211, "Features", " AUTH TLS", " AUTH", " AUTH SSL", "End"),
			Features{"AUTH": "TLS;SSL"},
		},
		{"empty lines", NewReply(211, "Features", "", " ", "End"), Features{}},
		{"no features", NewReply(211, "No features"), Features{}},
		{"refused", NewReply(500, "What?", " SIZE", "End"), Features{}},
		{"nothing", Reply{}, Features{}},
	}
	for _, tt := range tests {
		if got := ParseFeatures(tt.reply); !maps.Equal(got, tt.want) || got == nil {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if f := ParseFeatures(tests[0].reply); !f.Has("SIZE") || !f.Has("MLST") || f.Has("create;") || f.Has("EPSV") {
		t.Errorf("Has is wrong for %v", f)
	}
}

func TestFormatFeatures(t *testing.T) {
	f := Features{"SIZE": "", "MLST": "type*;size*;", "AUTH": "TLS"}
	got := f.FormatReply()
	want := []string{"Features:", " AUTH TLS", " MLST type*;size*;", " SIZE", "End"}
	if got.Code != 211 || !slices.Equal(got.Lines, want) {
		t.Errorf("got %v %q, want 211 %q", got.Code, got.Lines, want)
	}
	if again := ParseFeatures(got); !maps.Equal(again, f) {
		t.Errorf("parsed again: got %v, want %v", again, f)
	}
	if empty := (Features{}).FormatReply(); empty.Code != 211 || len(empty.Lines) != 1 {
		t.Errorf("no features: got %q", empty.Lines)
	}
}

func FuzzParseFeatures(f *testing.F) {
	f.Add("Features:\n SIZE\n MLST size*;\nEnd")
	f.Add("x\n211-MDTM\n\n \n A  b\ny")
	f.Fuzz(func(t *testing.T, text string) {
		got := ParseFeatures(NewReply(211, strings.Split(text, "\n")...))
		wire := got.FormatReply().Append(nil)
		again, err := ReadReply(NewLineReader(bytes.NewReader(wire), 1<<20))
		if err != nil {
			t.Fatalf("%q: %v", wire, err)
		}
		if len(got) > strings.Count(text, "\n") || len(ParseFeatures(again)) > len(got) {
			t.Errorf("%q: changed from %v to %v", text, got, ParseFeatures(again))
		}
	})
}
