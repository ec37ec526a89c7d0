package ftp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestParseHostPort(t *testing.T) {
	tests := []struct{ arg, want string }{
		{"127,0,0,1,4,5", "127.0.0.1:1029"},
		{"255,255,255,255,255,255", "255.255.255.255:65535"},
		{"10,1,2,3,0,21", "10.1.2.3:21"},
		{" 10 , 1,2,3 ,4,5 ", "10.1.2.3:1029"},
		{"010,001,2,3,4,5", "10.1.2.3:1029"},
		{"", ""},
		{"127,0,0,1,4", ""},
		{"127,0,0,1,4,5,6", ""},
		{"127,0,0,1,4,5,", ""},
		{",127,0,0,1,4,5", ""},
		{"999,0,0,1,4,5", ""},
		{"127,0,0,256,4,5", ""},
		{"127,0,0,1,0,0", ""}, // port 0
		{"-1,0,0,1,4,5", ""},
		{"+1,0,0,1,4,5", ""},
		{"0x7f,0,0,1,4,5", ""},
		{"127.0.0.1,4,5", ""},
		{"localhost,4,5", ""},
		{"1,2,3,4,5,0000006", ""},
		{"1 1,2,3,4,5,6", ""},
	}
	for _, tt := range tests {
		a, err := ParseHostPort(tt.arg)
		checkAddr(t, tt.arg, a, err, tt.want)
	}
}

// checkAddr compares an address with want, where "" means a syntax error.
func checkAddr(t *testing.T, arg string, a netip.AddrPort, err error, want string) {
	t.Helper()
	switch {
	case want == "":
		if !errors.Is(err, ErrSyntax) || a.IsValid() {
			t.Errorf("%q: got %v, %v; want ErrSyntax", arg, a, err)
		}
	case err != nil || a.String() != want:
		t.Errorf("%q: got %v, %v; want %s", arg, a, err, want)
	}
}

func TestFormatHostPort(t *testing.T) {
	tests := []struct{ addr, want string }{
		{"192.0.2.7:6446", "192,0,2,7,25,46"},
		{"[::ffff:192.0.2.7]:21", "192,0,2,7,0,21"},
		{"[2001:db8::1]:21", ""},
	}
	for _, tt := range tests {
		a := netip.MustParseAddrPort(tt.addr)
		if got := FormatHostPort(a); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.addr, got, tt.want)
		}
	}
	if got := FormatHostPort(netip.AddrPort{}); got != "" {
		t.Errorf("no address: got %q", got)
	}
}

func TestParse227(t *testing.T) {
	const want = "192.0.2.7:6446"
	tests := []struct{ text, want string }{
		{"Entering Passive Mode (192,0,2,7,25,46).", want},
		{"Entering Passive Mode (192,0,2,7,25,46)", want},
		{"Entering Passive Mode 192,0,2,7,25,46", want},
		{"Entering Passive Mode. 192, 0, 2, 7, 25, 46.", want},
		{"=192,0,2,7,25,46", want},
		{"( 192 ,0 ,2 ,7 ,25 ,46 )", want},
		{"Passive mode 2 of 3 on port 21: (192,0,2,7,25,46) 60 s", want},
		{"Mode 2, 192,0,2,7,25,46", want},
		{"Ok 999,1 then 192,0,2,7,25,46", want},
		{"192,0,2,7,25,46\n", want},
		{"", ""},
		{"Entering Passive Mode", ""},
		{"(192,0,2,7,25)", ""},
		{"(192,0,2,256,25,46)", ""},
		{"(192,0,2,7,25,300)", ""},
		{"(192,0,2,7,0,0)", ""},
		{"(1921,0,2,7,25,46)", ""},
		{"(|||6446|)", ""},
		{strings.Repeat("1,", 5), ""},
	}
	for _, tt := range tests {
		a, err := Parse227(tt.text)
		checkAddr(t, tt.text, a, err, tt.want)
	}
}

func TestFormat227(t *testing.T) {
	got := Format227(netip.MustParseAddrPort("127.0.0.1:1029"))
	if want := "Entering Passive Mode (127,0,0,1,4,5)."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParseHostPort(f *testing.F) {
	for _, s := range []string{"127,0,0,1,4,5", " 1 ,2,3,4,5,6", "999,0,0,1,4,5", "a,b,c,d,e,f", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseHostPort(s)
		if err != nil {
			return
		}
		if again, err := ParseHostPort(FormatHostPort(a)); err != nil || again != a || a.Port() == 0 {
			t.Errorf("%q: %v, then %v, %v", s, a, again, err)
		}
	})
}

func FuzzParse227(f *testing.F) {
	for _, s := range []string{"Entering Passive Mode (127,0,0,1,4,5).", "=1,2,3,4,5,6", "1,2,3,4,5,6,7,8", ",,,,,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse227(s)
		if err != nil {
			return
		}
		if again, err := Parse227(Format227(a)); err != nil || again != a {
			t.Errorf("%q: %v, then %v, %v", s, a, again, err)
		}
	})
}
