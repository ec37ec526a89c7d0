package dtp

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Simple versions of the two stages, for a whole text at once.

// linesToNet turns each LF without a CR before it into CRLF.
func linesToNet(text []byte) []byte {
	var out []byte
	for i, c := range text {
		if c == '\n' && (i == 0 || text[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

// linesFromNet removes each CR that is followed by an LF.
func linesFromNet(text []byte) []byte {
	var out []byte
	for i, c := range text {
		if c == '\r' && i+1 < len(text) && text[i+1] == '\n' {
			continue
		}
		out = append(out, c)
	}
	return out
}

// both holds the stages, each with the function that returns the expected result.
var both = []struct {
	name   string
	make   func() stage
	simple func([]byte) []byte
}{
	{"to net", func() stage { return new(toNet) }, linesToNet},
	{"from net", func() stage { return new(fromNet) }, linesFromNet},
}

// through passes text through a stage in pieces, which end where cut returns true.
func through(s stage, text []byte, cut func(i int) bool) []byte {
	out := []byte("before")
	from := 0
	for i := range text {
		if cut(i + 1) {
			out = s.append(out, bytes.Clone(text[from:i+1]))
			from = i + 1
		}
	}
	out = s.append(out, bytes.Clone(text[from:]))
	return bytes.TrimPrefix(s.flush(out), []byte("before"))
}

func TestLinesByHand(t *testing.T) {
	for _, tc := range []struct{ file, net, back string }{
		{"", "", ""},
		{"a", "a", "a"},
		{"\n", "\r\n", "\n"},
		{"a\nb\n", "a\r\nb\r\n", "a\nb\n"},
		{"\n\n", "\r\n\r\n", "\n\n"},
		{"a\r\nb", "a\r\nb", "a\nb"},
		{"a\rb", "a\rb", "a\rb"},
		{"a\r", "a\r", "a\r"},
		{"a\r\r\n", "a\r\r\n", "a\r\n"},
		{"\r\n\n\r", "\r\n\r\n\r", "\n\n\r"},
		{"\n\r", "\r\n\r", "\n\r"},
		{"\x00\xff\n", "\x00\xff\r\n", "\x00\xff\n"},
	} {
		for _, every := range []int{1, 2, 3, 100} {
			cut := func(i int) bool { return i%every == 0 }
			if got := through(new(toNet), []byte(tc.file), cut); string(got) != tc.net {
				t.Errorf("%q in pieces of %d: %q on the wire, want %q", tc.file, every, got, tc.net)
			}
			if got := through(new(fromNet), []byte(tc.net), cut); string(got) != tc.back {
				t.Errorf("%q in pieces of %d: %q in the file, want %q", tc.net, every, got, tc.back)
			}
		}
	}
}

// Every text of up to six CRs, LFs and other bytes, cut in every way.
func TestEverySplit(t *testing.T) {
	const letters, longest = "\r\nx", 6
	texts := [][]byte{nil}
	for from := 0; len(texts[from]) < longest; from++ {
		for _, c := range []byte(letters) {
			texts = append(texts, append(bytes.Clone(texts[from]), c))
		}
	}
	for _, text := range texts {
		for _, s := range both {
			want := s.simple(text)
			for cuts := range 1 << max(len(text)-1, 0) {
				got := through(s.make(), text, func(i int) bool { return cuts>>(i-1)&1 == 1 })
				if !bytes.Equal(got, want) {
					t.Fatalf("%s: %q cut at %b: %q, want %q", s.name, text, cuts, got, want)
				}
			}
		}
	}
}

// Long texts with lines of any length, in pieces of any length.
func TestRandomSplits(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := randomText(r, r.IntN(5000))
		pieces := 1 + r.IntN(1+len(text))
		for _, s := range both {
			got := through(s.make(), text, func(int) bool { return r.IntN(pieces) == 0 })
			if want := s.simple(text); !bytes.Equal(got, want) {
				t.Fatalf("%s, seed %d: %d bytes, want %d, and the same", s.name, seed, len(got), len(want))
			}
		}
	}
}

// randomText returns a text with many line ends of all kinds.
func randomText(r *rand.Rand, n int) []byte {
	text := make([]byte, n)
	often := 1 + r.IntN(40)
	for i := range text {
		switch r.IntN(often + 2) {
		case 0:
			text[i] = '\r'
		case 1:
			text[i] = '\n'
		default:
			text[i] = byte(r.IntN(256))
		}
	}
	return text
}

// A file without CRs is unchanged after both conversions.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := bytes.ReplaceAll(randomText(r, r.IntN(5000)), []byte("\r"), nil)
		cut := func(int) bool { return r.IntN(7) == 0 }
		if got := through(new(fromNet), through(new(toNet), text, cut), cut); !bytes.Equal(got, text) {
			t.Fatalf("seed %d: not the same", seed)
		}
	}
}

func FuzzToNet(f *testing.F)   { fuzzStage(f, 0) }
func FuzzFromNet(f *testing.F) { fuzzStage(f, 1) }

// fuzzStage checks a stage. It splits the text at the bits that are set in cuts, which repeat.
func fuzzStage(f *testing.F, i int) {
	for _, text := range []string{"", "\r", "\n", "\r\n", "a\r\nb\nc\rd\r\r\n\n\r"} {
		for _, cuts := range []uint64{0, 1, 0xaaaa, 1<<64 - 1} {
			f.Add([]byte(text), cuts)
		}
	}
	s := both[i]
	f.Fuzz(func(t *testing.T, text []byte, cuts uint64) {
		got := through(s.make(), text, func(i int) bool { return cuts>>(i%64)&1 == 1 })
		if want := s.simple(text); !bytes.Equal(got, want) {
			t.Errorf("%q cut at %b: %q, want %q", text, cuts, got, want)
		}
		if len(got) > 2*len(text) {
			t.Errorf("%d bytes became %d", len(text), len(got))
		}
	})
}
