package client_test

import (
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
)

// TestTimeWithoutSIZE checks that a copy gets the time of its original from servers that support MDTM but not SIZE,
// whether they get one command at a time or several.
func TestTimeWithoutSIZE(t *testing.T) {
	for name, greeting := range map[string]string{"one at a time": "220 ready\r\n", "together": "220 (vsFTPd 3.0.5)\r\n"} {
		for _, size := range []int{0, len(small(1))} {
			t.Run(name, func(t *testing.T) {
				f := fakeserver.New(t, func(f *fakeserver.Server) {
					f.Greeting, f.Feat = greeting, []string{"MDTM"}
					f.Files["/1"] = small(1)
					f.On["SIZE"] = func(s *fakeserver.Session, _ string) { s.Say("500 what?") }
				})
				c, mem := dial(t, f, nil), fsroot.NewMem()
				o := client.FileOptions{Listed: listed(size), KeepTime: true}
				if _, err := c.Download(t.Context(), "/1", "/1", over(mem, o)); err != nil {
					t.Fatal(err)
				}
				want, err := c.ModTime(t.Context(), "/1")
				if err != nil {
					t.Fatal(err)
				}
				if info, err := mem.Stat("/1"); err != nil || !info.ModTime().Equal(want) {
					t.Errorf("the time of the copy is %v, %v, want %v", info.ModTime(), err, want)
				}
			})
		}
	}
}
