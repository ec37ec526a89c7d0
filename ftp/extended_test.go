package ftp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestParseEPRT(t *testing.T) {
	tests := []struct{ arg, want string }{
		{"|1|192.0.2.7|6446|", "192.0.2.7:6446"},
		{"|2|2001:db8::7|6446|", "[2001:db8::7]:6446"},
		{"!2!::1!65535!", "[::1]:65535"},
		{"~1~192.0.2.7~1~", "192.0.2.7:1"},
		{"|2|::ffff:192.0.2.7|21|", "192.0.2.7:21"},
		{"", ""},
		{"|", ""},
		{"|1|192.0.2.7|6446", ""},
		{"|1|192.0.2.7|6446|x", ""},
		{"|1|192.0.2.7|6446||", ""},
		{"x|1|192.0.2.7|6446|", ""},
		{" 1 192.0.2.7 6446 ", ""},
		{"\x7f1\x7f192.0.2.7\x7f6446\x7f", ""},
		{"|1|192.0.2.7|0|", ""},
		{"|1|192.0.2.7|65536|", ""},
		{"|1|192.0.2.7|+21|", ""},
		{"|1|192.0.2.7|000021|", ""},
		{"|1|localhost|21|", ""},
		{"|1|999.0.0.1|21|", ""},
		{"|1|192.0.2|21|", ""},
		{"|2|fe80::1%eth0|21|", ""},
		{"|2|[::1]|21|", ""},
		{"|one|192.0.2.7|21|", ""},
		{"||192.0.2.7|21|", ""},
	}
	for _, tt := range tests {
		a, err := ParseEPRT(tt.arg)
		checkAddr(t, tt.arg, a, err, tt.want)
	}
	for _, arg := range []string{"|3|192.0.2.7|21|", "|0|x|21|", "|1|::1|21|", "|2|192.0.2.7|21|"} {
		if a, err := ParseEPRT(arg); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: got %v, %v; want ErrProtocol", arg, a, err)
		}
	}
}

func TestFormatEPRT(t *testing.T) {
	tests := []struct{ addr, want string }{
		{"192.0.2.7:6446", "|1|192.0.2.7|6446|"},
		{"[2001:db8::7]:6446", "|2|2001:db8::7|6446|"},
		{"[fe80::1%eth0]:21", "|2|fe80::1|21|"},
		{"[::ffff:192.0.2.7]:21", "|1|192.0.2.7|21|"},
	}
	for _, tt := range tests {
		if got := FormatEPRT(netip.MustParseAddrPort(tt.addr)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.addr, got, tt.want)
		}
	}
	if got := FormatEPRT(netip.AddrPort{}); got != "" {
		t.Errorf("no address: got %q", got)
	}
}

func TestParse229(t *testing.T) {
	tests := []struct {
		text string
		want uint16 // 0 means an error
	}{
		{"Entering Extended Passive Mode (|||6446|)", 6446},
		{"Entering Extended Passive Mode (|||6446|).", 6446},
		{"Entering Extended Passive Mode (!!!65535!)", 65535},
		{"Entering Extended Passive Mode |||6446|", 6446},
		{"EPSV ok (really) (|||6446|)", 6446},
		{"(|1|192.0.2.7|6446|)", 6446},
		{"(|2|2001:db8::7|6446|)", 6446},
		{"|||1|", 1},
		{"", 0},
		{"Entering Extended Passive Mode", 0},
		{"(|||0|)", 0},
		{"(|||65536|)", 0},
		{"(|||-1|)", 0},
		{"(|||6446)", 0},
		{"(||6446|)", 0},
		{"(127,0,0,1,4,5)", 0},
		{"(10,1,2,3,4,5)", 0},
		{"(|1|example|6446|)", 0},
		{"()", 0},
		{"(", 0},
	}
	for _, tt := range tests {
		port, err := Parse229(tt.text)
		if tt.want == 0 {
			if !errors.Is(err, ErrSyntax) || port != 0 {
				t.Errorf("%q: got %d, %v; want ErrSyntax", tt.text, port, err)
			}
		} else if err != nil || port != tt.want {
			t.Errorf("%q: got %d, %v; want %d", tt.text, port, err, tt.want)
		}
	}
}

func FuzzParseEPRT(f *testing.F) {
	for _, s := range []string{"|1|192.0.2.7|6446|", "!2!::1!21!", "|3|x|1|", "|||||||", "1111111"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseEPRT(s)
		if err != nil {
			return
		}
		if again, err := ParseEPRT(FormatEPRT(a)); err != nil || again != a || a.Port() == 0 {
			t.Errorf("%q: %v, then %v, %v", s, a, again, err)
		}
	})
}

func FuzzParse229(f *testing.F) {
	for _, s := range []string{"Entering Extended Passive Mode (|||6446|)", "!!!21!", "((((", strings.Repeat("|", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		port, err := Parse229(s)
		if err != nil {
			return
		}
		if again, err := Parse229(Format229(port)); err != nil || again != port || port == 0 {
			t.Errorf("%q: %v, then %v, %v", s, port, again, err)
		}
	})
}
