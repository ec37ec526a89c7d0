package transfertest

import (
	"strings"
	"sync/atomic"
	"testing"

	"miniftp/ftp/internal/fakeserver"
)

// refusals are the commands that a server may refuse during an upload that replaces a file.
var refusals = map[string]func(f *fakeserver.Server){
	"nothing":     func(*fakeserver.Server) {},
	"RNFR":        func(f *fakeserver.Server) { f.On["RNFR"] = fakeserver.Says("550 no") },
	"RNTO":        func(f *fakeserver.Server) { f.On["RNTO"] = fakeserver.Says("553 no") },
	"RNTO, quota": func(f *fakeserver.Server) { f.On["RNTO"] = fakeserver.Says("552 quota exceeded") },
	"RNTO, RNFR and then STOR": func(f *fakeserver.Server) {
		f.On["RNFR"] = fakeserver.Says("550 no")
		stor := f.On["STOR"]
		f.On["STOR"] = func(s *fakeserver.Session, arg string) {
			if s.Server.Count("RNFR") > 0 {
				s.Say("452 disk full")
				return
			}
			stor(s, arg)
		}
	},
	"replacing": func(f *fakeserver.Server) { // refuse only to replace a file by a rename, as on Windows
		rnto := f.On["RNTO"]
		f.On["RNTO"] = func(s *fakeserver.Session, arg string) {
			if _, ok := s.Server.File(arg); ok {
				s.Say("550 a file of that name exists")
				return
			}
			rnto(s, arg)
		}
	},
	"all renames to f": func(f *fakeserver.Server) {
		rnto := f.On["RNTO"]
		var aside atomic.Bool
		f.On["RNTO"] = func(s *fakeserver.Session, arg string) {
			if strings.HasSuffix(arg, "/f") && !aside.CompareAndSwap(true, false) {
				s.Say("550 not that name")
				return
			}
			if !strings.HasSuffix(arg, "/f") {
				aside.Store(false)
			}
			rnto(s, arg)
		}
	},
	"DELE":      func(f *fakeserver.Server) { f.On["DELE"] = fakeserver.Says("550 no") },
	"dots":      fakeserver.NoDots("553 no such names"),
	"dots, 550": fakeserver.NoDots("550 forbidden filename"),
	"everything": func(f *fakeserver.Server) {
		f.On["STOR"], f.On["RNFR"], f.On["DELE"] = fakeserver.Says("550 no"), fakeserver.Says("550 no"), fakeserver.Says("550 no")
	},
}

// OldFileStays checks put, which gives /d/f of a server the content text, where an old file exists. Whatever the
// server refuses, that name has the old file or the new one, and the error names a file that is left under another
// name.
func OldFileStays(t *testing.T, put func(f *fakeserver.Server, text string) error) {
	const old, text = "the old file", "the new and longer file"
	for what, change := range refusals {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Files["/d/f"] = old
			fakeserver.Storing(f)
			change(f)
		})
		err := put(f, text)
		got, _ := f.File("/d/f")
		switch {
		case err == nil && got != text:
			t.Errorf("%s refused: no error, but the file is %q", what, got)
		case err != nil && got != old && got != text && !toldOld(f, err, old):
			t.Errorf("%s refused: error %v, but the file is %q; commands %q", what, err, got, f.Commands())
		}
		for _, name := range f.Names() {
			if base := name[strings.LastIndex(name, "/")+1:]; base != "f" && (err == nil && what != "DELE" && what != "RNFR" || err != nil && !strings.Contains(err.Error(), base)) {
				t.Errorf("%s refused: error %v, but %s is left", what, err, name)
			}
		}
	}
}

// toldOld reports whether the old file exists under a name that the error mentions.
func toldOld(f *fakeserver.Server, err error, old string) bool {
	for _, name := range f.Names() {
		if text, _ := f.File(name); text == old && strings.Contains(err.Error(), name) {
			return true
		}
	}
	return false
}
