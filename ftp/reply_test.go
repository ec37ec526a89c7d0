package ftp

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadReply(t *testing.T) {
	tests := []struct {
		name, in string
		want     Reply
	}{
		{"one line", "200 Fine\r\n", NewReply(200, "Fine")},
		{"a bare code", "250\r\n", NewReply(250, "")},
		{"a code and a blank", "250 \r\n", NewReply(250, "")},
		{"LF only", "200 Fine\n", NewReply(200, "Fine")},
		{"blanks stay", "257  \"a\" \r\n", NewReply(257, " \"a\" ")},
		{"several lines", "211-One\r\n two\r\nthree\r\n211 End\r\n", NewReply(211, "One", " two", "three", "End")},
		{
			"RFC 959 §4.2: digits inside", "123-First line\r\nSecond line\r\n  234 A line beginning with numbers\r\n123 The last line\r\n",
			NewReply(123, "First line", "Second line", "  234 A line beginning with numbers", "The last line"),
		},
		{"other codes inside", "220-Hi\r\n221 Bye\r\n220 Ready\r\n", NewReply(220, "Hi", "221 Bye", "Ready")},
		{
			"numbers like the code inside", "220-Hi\r\n2200 users\r\n220x\r\n 220 no\r\n220 Ready\r\n",
			NewReply(220, "Hi", "2200 users", "220x", " 220 no", "Ready"),
		},
		{"code and hyphen on each line", "220-Hi\r\n220-there\r\n220 Ready\r\n", NewReply(220, "Hi", "220-there", "Ready")},
		{"a bare code at the end", "220-Hi\r\n220\r\n", NewReply(220, "Hi", "")},
		{"empty lines", "220-\r\n\r\n220 \r\n", NewReply(220, "", "", "")},
		{"protected", "633-a\r\n633 b\r\n", NewReply(633, "a", "b")},
		{"a doubled IAC", "257 \"\xff\xff\"\r\n", NewReply(257, "\"\xff\"")},
	}
	for _, tt := range tests {
		for i, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
			got, err := ReadReply(NewLineReader(r, 1000))
			if err != nil || got.Code != tt.want.Code || !slices.Equal(got.Lines, tt.want.Lines) {
				t.Errorf("%s (%d): got %d %q, %v; want %d %q", tt.name, i, got.Code, got.Lines, err, tt.want.Code, tt.want.Lines)
			}
		}
	}
}

func TestReadReplyGlued(t *testing.T) {
	lr := NewLineReader(strings.NewReader("150 Here\r\n226-Done\r\n150 no\r\n226 Done\r\n221 Bye\r\n"), 100)
	for _, want := range []Code{150, 226, 221} {
		if got, err := ReadReply(lr); err != nil || got.Code != want {
			t.Errorf("got %v, %v; want %d", got, err, want)
		}
	}
	if _, err := ReadReply(lr); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestReadReplyRefuses(t *testing.T) {
	long := strings.Repeat("x", 1000) + "\r\n"
	tests := []struct {
		name, in string
		want     error
	}{
		{"nothing", "", io.EOF},
		{"cut", "200 Fi", io.EOF},
		{"cut inside", "220-Hi\r\n", io.ErrUnexpectedEOF},
		{"empty line", "\r\n200 x\r\n", ErrSyntax},
		{"text", "Hello there\r\n", ErrSyntax},
		{"two digits", "20 x\r\n", ErrSyntax},
		{"four digits", "2000 x\r\n", ErrSyntax},
		{"too small", "099 x\r\n", ErrSyntax},
		{"too large", "700 x\r\n", ErrSyntax},
		{"sign", "+20 x\r\n", ErrSyntax},
		{"glued text", "200x\r\n", ErrSyntax},
		{"a long line", "200 " + long, ErrLineTooLong},
		{"many lines", "220-\n" + strings.Repeat("\n", MaxReplyLines) + "220 x\n", ErrReplyTooLong},
		{"many bytes", "220-\r\n" + strings.Repeat(long, MaxReplyBytes/1000) + "220 x\r\n", ErrReplyTooLong},
	}
	for _, tt := range tests {
		limit := 2000
		if errors.Is(tt.want, ErrLineTooLong) {
			limit = 500
		}
		if got, err := ReadReply(NewLineReader(strings.NewReader(tt.in), limit)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %d, %v; want %v", tt.name, got.Code, err, tt.want)
		}
	}
	most := "220-\n" + strings.Repeat("\n", MaxReplyLines-2) + "220 x\n"
	if got, err := ReadReply(NewLineReader(strings.NewReader(most), 100)); err != nil || len(got.Lines) != MaxReplyLines {
		t.Errorf("just fits: got %d lines, %v", len(got.Lines), err)
	}
}

func TestReplyAppend(t *testing.T) {
	tests := []struct {
		reply Reply
		want  string
	}{
		{NewReply(200, "Fine"), "200 Fine\r\n"},
		{NewReply(200), "200 \r\n"},
		{NewReply(200, ""), "200 \r\n"},
		{Replyf(550, "%q", "x"), "550 \"x\"\r\n"},
		{NewReply(220, "a", "b"), "220-a\r\n220 b\r\n"},
		{NewReply(220, "a", "220 b", "", " c", "d"), "220-a\r\n 220 b\r\n\r\n c\r\n220 d\r\n"},
		{NewReply(257, "\"a\r\n550 b\x00\""), "257 \"a__550 b_\"\r\n"},
		{NewReply(211, "a", "b\nc", "d"), "211-a\r\nb_c\r\n211 d\r\n"},
		{NewReply(257, "\xff é"), "257 \xff\xff é\r\n"},
	}
	for _, tt := range tests {
		if got := string(tt.reply.Append([]byte("|"))); got != "|"+tt.want {
			t.Errorf("got %q, want %q", got, "|"+tt.want)
		}
	}
}

func TestReplyStrings(t *testing.T) {
	tests := []struct {
		reply              Reply
		str, text, lastOne string
	}{
		{NewReply(200, "Fine"), "200 Fine", "Fine", "Fine"},
		{NewReply(220, "a", "b"), "220 a", "a\nb", "b"},
		{NewReply(220, "", "b"), "220 b", "\nb", "b"},
		{Reply{Code: 5}, "005", "", ""},
		{NewReply(550, "\x1b[2J\u0085\x7f é\t"), "550 ?[2J?? é?", "\x1b[2J\u0085\x7f é\t", "\x1b[2J\u0085\x7f é\t"},
	}
	for _, tt := range tests {
		if got := tt.reply.String(); got != tt.str {
			t.Errorf("String: got %q, want %q", got, tt.str)
		}
		if got := tt.reply.Text(); got != tt.text {
			t.Errorf("Text: got %q, want %q", got, tt.text)
		}
		if got := tt.reply.Last(); got != tt.lastOne {
			t.Errorf("Last: got %q, want %q", got, tt.lastOne)
		}
	}
	for code, want := range map[Code]Class{150: Preliminary, 226: Completion, 350: Intermediate, 425: TransientFail, 550: PermanentFail, 633: 6} {
		if got := code.Class(); got != want {
			t.Errorf("%d: class %d, want %d", code, got, want)
		}
	}
}

func TestErrorIs(t *testing.T) {
	tests := []struct {
		code Code
		text string
		want error // nil means none of the three
	}{
		{550, "/x: No such file or directory", fs.ErrNotExist},
		{550, "The system cannot find the file specified.", fs.ErrNotExist},
		{550, "The process cannot access the file because it is being used by another process.", nil},
		{450, "x: File busy", nil},
		{550, "Access is denied.", fs.ErrPermission},
		{550, "No such file, or permission denied", fs.ErrNotExist}, // for RETR
		{553, "No such directory", fs.ErrNotExist},
		{550, "No such file or directory", fs.ErrNotExist},
		{550, "Failed to open file.", fs.ErrNotExist},
		{550, "Can't check for file existence", fs.ErrNotExist}, // Pure-FTPd
		{550, "x: does not exist", fs.ErrNotExist},
		{450, "No files found", fs.ErrNotExist},
		{550, "File exists", fs.ErrExist},
		{550, "Directory already exists", fs.ErrExist},
		{521, "\"/x\" is there", fs.ErrExist},
		{550, "Permission denied", fs.ErrPermission},
		{550, "Operation not permitted", fs.ErrPermission},
		{553, "Could not create file.", fs.ErrPermission},
		{550, "Directory not empty", nil},
		{550, "x is a directory", nil},
		{550, "x: Not a plain file", nil},
		{550, "Not a directory", nil},
		{530, "Permission denied", nil},
		{426, "No such luck", nil},
	}
	for _, tt := range tests {
		err := error(&Error{Verb: "RETR", Reply: NewReply(tt.code, tt.text)})
		for _, kind := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} {
			if got := errors.Is(err, kind); got != errors.Is(kind, tt.want) {
				t.Errorf("%d %s: Is(%v) is %v", tt.code, tt.text, kind, got)
			}
		}
	}
}

// The refusal of a command that changes something is fs.ErrNotExist only if its text names that.
func TestErrorIsOfChange(t *testing.T) {
	for _, verb := range []string{"DELE", "RMD", "MKD", "RNFR", "RNTO", "STOR", "APPE", "MFMT", "SITE", ""} {
		for text, want := range map[string]error{
			"Delete operation failed.": nil, "No.": nil, "No such file, or permission denied": nil,
			"x: No such file": fs.ErrNotExist, "Permission denied": fs.ErrPermission, "File already exists": fs.ErrExist,
		} {
			err := &Error{Verb: verb, Reply: NewReply(550, text)}
			for _, kind := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} {
				if got := errors.Is(err, kind); got != errors.Is(kind, want) {
					t.Errorf("%s, %s: Is(%v) is %v", verb, text, kind, got)
				}
			}
			if got := err.Cause(); !errors.Is(got, want) {
				t.Errorf("%s, %s: the cause is %v", verb, text, got)
			}
		}
	}
}

func TestError(t *testing.T) {
	err := &Error{Verb: "STOR", Reply: NewReply(452, "Disk\x07 full")}
	if got, want := err.Error(), "the server says 452 Disk? full"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if permanent := (&Error{Reply: NewReply(550)}); !err.Temporary() || permanent.Temporary() {
		t.Error("Temporary is wrong: only 4xx is temporary")
	}
	var target *Error
	if !errors.As(error(err), &target) || target.Verb != "STOR" {
		t.Errorf("errors.As set %v", target)
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{
		"200 Fine\r\n", "250\n", "220-a\r\n221 b\r\n220-c\r\n220 d\r\n", "220-\n220\n", "999 x\n", "211-a\n\xff\xff\n211 \n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := ReadReply(NewLineReader(bytes.NewReader(in), 256))
		if err != nil {
			return
		}
		if r.Code < 100 || r.Code > 699 || len(r.Lines) == 0 || len(r.Text()) > len(in) {
			t.Fatalf("%q: %d %q", in, r.Code, r.Lines)
		}
		wire := r.Append(nil)
		again, err := ReadReply(NewLineReader(bytes.NewReader(wire), 1024))
		if err != nil || again.Code != r.Code || len(again.Lines) != len(r.Lines) {
			t.Errorf("%q: %q, then %q: %q, %v", in, r.Lines, wire, again.Lines, err)
		}
	})
}

// FuzzReplyAppend checks that no text can end its reply early.
func FuzzReplyAppend(f *testing.F) {
	f.Add(uint16(220), "a", "220 b", "c")
	f.Add(uint16(550), "x\r\n226 Done", "\xff\xf4", "\x00")
	f.Fuzz(func(t *testing.T, code uint16, a, b, c string) {
		r := NewReply(100+Code(code%500), a, b, c)
		lr := NewLineReader(bytes.NewReader(r.Append(nil)), 1<<20)
		got, err := ReadReply(lr)
		if err != nil || got.Code != r.Code || len(got.Lines) != 3 || lr.Buffered() != 0 {
			t.Errorf("%q: got %d %q, %v, and %d bytes more", r.Lines, got.Code, got.Lines, err, lr.Buffered())
		}
	})
}
