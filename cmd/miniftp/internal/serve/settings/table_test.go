package settings

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
)

// TestTable: each field of Settings has one row, and each row is complete.
func TestTable(t *testing.T) {
	var s Settings
	rows := map[any]*row{}
	names, keys := map[string]bool{}, map[string]bool{}
	for _, r := range table(&s) {
		if rows[r.value.field()] != nil || names[r.name] || keys[r.key()] {
			t.Errorf("%s is in the table twice", r.name)
		}
		rows[r.value.field()], names[r.name], keys[r.key()] = r, true, true
		r.value.reset()
		if r.doc == "" || strings.HasSuffix(r.usage(), ".") {
			t.Errorf("%s: %q", r.name, r.usage())
		}
		if (r.otherwise != "") != (r.example != "") {
			t.Errorf("%s: otherwise is %q and example is %q; set both or neither", r.name, r.otherwise, r.example)
		}
		if (r.path || r.words != nil) && reflect.TypeOf(r.value.field()) != reflect.TypeFor[*string]() && reflect.TypeOf(r.value.field()) != reflect.TypeFor[*[]string]() {
			t.Errorf("%s holds no text but is a %T", r.name, r.value.field())
		}
		if r.group.table != "" && !strings.HasPrefix(r.key(), r.group.table+".") {
			t.Errorf("%s: the key is %s", r.name, r.key())
		}
	}
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		if rows[v.Field(i).Addr().Interface()] == nil {
			t.Errorf("%s has no row", v.Type().Field(i).Name)
		}
	}
	if len(rows) != v.NumField() {
		t.Errorf("%d rows for %d fields", len(rows), v.NumField())
	}
}

// TestEveryReasonIsDecided: for each reason for a refusal, one setting or one key of a user decides, except for wrong passwords
// and the rest.
func TestEveryReasonIsDecided(t *testing.T) {
	none := []ftp.Reason{ftp.ReasonOther, ftp.ReasonLogin}
	for r := ftp.ReasonOther; r <= ftp.ReasonNotResumed; r++ {
		var all []string
		for _, row := range table(&Settings{}) {
			if slices.Contains(row.lifts, r) {
				all = append(all, row.name)
			}
		}
		for _, k := range userKeys(&Account{}) {
			if k.lifts == r && !slices.Contains(none, r) {
				all = append(all, "users."+k.name)
			}
		}
		if name := Deciding(r); slices.Contains(none, r) != (name == "") || strings.Join(all, " ") != name {
			t.Errorf("%v: Deciding returns %q, the tables name %q", r, name, all)
		}
	}
}

// TestForeignPointer: a pointer that is not to a field of the Config panics.
func TestForeignPointer(t *testing.T) {
	cf := FromFile("")
	for _, field := range []any{cf.TLS, &FromFile("").TLS, nil} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T is accepted as a setting", field)
				}
			}()
			cf.Given(field)
		}()
	}
}

// TestKeepUntilRestart: settings that a reload can't change keep their values, and each reload names them.
func TestKeepUntilRestart(t *testing.T) {
	old := FromFile("")
	for range 2 {
		cf := FromFile("")
		cf.Verbose, cf.Listen, cf.Quiet = true, []string{":1"}, true
		if got := cf.KeepUntilRestart(old); !slices.Equal(got, []string{"listen", "log.verbose"}) {
			t.Errorf("kept: %v", got)
		}
		if cf.Verbose || !slices.Equal(cf.Listen, old.Listen) || !cf.Quiet {
			t.Errorf("verbose %v, listen %v, quiet %v", cf.Verbose, cf.Listen, cf.Quiet)
		}
		old = cf
	}
}

// TestAllMistakesAtOnce: one mistake does not hide another one.
func TestAllMistakesAtOnce(t *testing.T) {
	cf := FromFile(verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), `
sync = "no"
users-file = "none"
accept-upload = "hang-up, nothing"
[users.a]
password = "p"
perm = "wright"
accept-upload = ["hang"]
[limits]
max-sessions = -1
max-hashes = -1
failure-delay = "-1s"
idle-timeout = 0
hash-timeout = 0
`))
	var lines []string
	for _, err := range cf.Sorted() {
		_, what, _ := strings.Cut(err.Error(), "m.toml:")
		lines = append(lines, what)
	}
	want := []string{
		`2: sync "no": must be off, file or full`,
		"3: ",
		`4: accept-upload "nothing": must be hang-up or no-close-notify`,
		"7: users.a.perm: ",
		`8: users.a.accept-upload: "hang": must be hang-up or no-close-notify`,
		"10: limits.max-sessions -1: must not be negative; 0 means no limit",
		"11: limits.max-hashes -1: must not be negative; 0 means half of the processors",
		"12: limits.failure-delay -1s: must not be negative; 0 means no delay",
		"13: limits.idle-timeout 0s: must be greater than 0",
	}
	if !slices.EqualFunc(lines, want, strings.HasPrefix) {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
	if a := cf.User("a"); a.Perms != nil {
		t.Errorf("a misspelled perm grants %v", a.Perms)
	}
}

// TestManyUsers: users are found by a map, so that the time to read a file is proportional to the number
// of its users. The test takes the fastest of many runs, which depends least on the load of the machine.
func TestManyUsers(t *testing.T) {
	took := func(users int) (best time.Duration) {
		cf := FromFile("")
		for i := range users {
			cf.addUser(fmt.Sprintf("user-%d", i), "")
		}
		last := fmt.Sprintf("user-%d", users-1)
		for i := range 50 {
			start := time.Now()
			for range 100 {
				if cf.addUser(last, "") != cf.User(last) {
					t.Fatal("addUser added a second user of the same name")
				}
			}
			if d := time.Since(start); i == 0 || d < best {
				best = d
			}
		}
		if len(cf.Users) != users+1 { // with anonymous
			t.Fatalf("%d users", len(cf.Users))
		}
		return best
	}
	if few, many := took(100), took(20_000); many > 50*few {
		t.Errorf("finding one of 20,000 users takes %v, one of 100 users %v", many, few)
	}
}
