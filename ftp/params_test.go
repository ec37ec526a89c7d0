package ftp

import (
	"errors"
	"testing"
)

func TestParseType(t *testing.T) {
	tests := []struct {
		arg  string
		want Type
	}{
		{"A", ASCII},
		{"a", ASCII},
		{"A N", ASCII},
		{"a n", ASCII},
		{"A T", ASCII},
		{"A  N ", ASCII},
		{"I", Image},
		{"i", Image},
		{" I", Image},
		{"L 8", Local8},
		{"l 8", Local8},
		{"L8", Local8},
		{"an", ASCII},
		{" AT ", ASCII},
		{"E", EBCDIC},
		{"E N", EBCDIC},
	}
	for _, tt := range tests {
		if got, err := ParseType(tt.arg); err != nil || got != tt.want {
			t.Errorf("%q: got %v, %v; want %v", tt.arg, got, err, tt.want)
		}
	}
	for _, arg := range []string{"", " ", "X", "A C", "A N N", "AC", "AI", "I N", "I 8", "I8", "L", "L 7", "L7", "L 16", "L16", "E N X", "8"} {
		if got, err := ParseType(arg); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: got %v, %v; want ErrSyntax", arg, got, err)
		}
	}
	for typ := ASCII; typ <= EBCDIC; typ++ {
		if got, err := ParseType(typ.String()); err != nil || got != typ {
			t.Errorf("%v: got %v, %v", typ, got, err)
		}
	}
}

func TestParseStructureAndMode(t *testing.T) {
	for s := FileStructure; s <= PageStructure; s++ {
		if got, err := ParseStructure(s.String()); err != nil || got != s {
			t.Errorf("STRU %v: got %v, %v", s, got, err)
		}
	}
	for m := Stream; m <= Deflate; m++ {
		if got, err := ParseTransferMode(m.String()); err != nil || got != m {
			t.Errorf("MODE %v: got %v, %v", m, got, err)
		}
	}
	if got, err := ParseTransferMode("s "); err != nil || got != Stream {
		t.Errorf("MODE s: got %v, %v", got, err)
	}
	for _, arg := range []string{"", " ", "X", "FR", "F F", "\x00"} {
		if got, err := ParseStructure(arg); !errors.Is(err, ErrSyntax) {
			t.Errorf("STRU %q: got %v, %v; want ErrSyntax", arg, got, err)
		}
		if got, err := ParseTransferMode(arg); !errors.Is(err, ErrSyntax) {
			t.Errorf("MODE %q: got %v, %v; want ErrSyntax", arg, got, err)
		}
	}
}

func FuzzParseType(f *testing.F) {
	for _, s := range []string{"A", "a n", "L 8", "I", "E C", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, err := ParseType(s)
		if err != nil {
			return
		}
		if again, err := ParseType(typ.String()); err != nil || again != typ {
			t.Errorf("%q: %v, then %v, %v", s, typ, again, err)
		}
	})
}
