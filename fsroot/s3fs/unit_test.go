package s3fs_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/fsroot/s3fs"
)

func TestPartSizes(t *testing.T) {
	const gib = 1 << 30
	sum := func(memory int64) (total int64) {
		for n := range s3fs.MaxParts {
			total += s3fs.PartSize(memory, n+1)
		}
		return total
	}
	for n, want := range map[int]int64{1: 8 * mib, 1000: 8 * mib, 1001: 16 * mib, 2001: 32 * mib} {
		if got := s3fs.PartSize(2*gib, n); got != want {
			t.Errorf("part %d has %d bytes, want %d", n, got, want)
		}
	}
	if got := sum(2 * gib); got < 5<<40 {
		t.Errorf("10,000 parts hold %d bytes, want 5 TiB", got)
	}
	if got := sum(gib); got < 38<<40/10 {
		t.Errorf("with 1 GiB of memory, 10,000 parts hold %d bytes", got)
	}
	if got := s3fs.PartSize(100*mib, 9999); got > 100*mib {
		t.Errorf("a part is larger than the pool: %d", got)
	}
	f := &s3fs.Fs{}
	f.SetSizes(0, 0, 10, 0)
	if got := f.Split(5, 27); !slices.Equal(got, []int64{10, 10, 2}) {
		t.Errorf("Split = %d", got)
	}
}

func TestParse(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "")
	}
	l, err := s3fs.Parse("s3://bucket/a/b%20c/?endpoint=http://localhost:9000&region=eu&memory=512M&times=exact&filer=http://f:8888&path=yes")
	check(t, err)
	if l.Bucket != "bucket" || l.Prefix != "a/b c" || l.Endpoint.String() != "http://localhost:9000" || l.Region != "eu" ||
		l.Memory != 512*mib || !l.Exact || l.Filer.String() != "http://f:8888" || l.Path != "yes" {
		t.Errorf("parsed as %+v", l)
	}
	if got := l.String(); got != "s3://bucket/a/b%20c" {
		t.Errorf("String = %s", got)
	}
	l, err = s3fs.Parse("s3://bucket")
	check(t, err)
	if l.Endpoint.String() != "https://s3.amazonaws.com" || l.Memory != 1<<30 || l.Exact || l.Prefix != "" {
		t.Errorf("the defaults are %+v", l)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://one")
	t.Setenv("AWS_REGION", "r")
	if l, err = s3fs.Parse("s3://bucket"); err != nil || l.Endpoint.Host != "one" || l.Region != "r" {
		t.Errorf("from the environment: %+v, %v", l, err)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://two")
	if l, err = s3fs.Parse("s3://bucket"); err != nil || l.Endpoint.Host != "two" {
		t.Errorf("from the environment: %+v, %v", l, err)
	}
}

func TestParseErrors(t *testing.T) {
	for raw, want := range map[string]string{
		"http://bucket":                        "s3://BUCKET",
		"s3:bucket":                            "s3://BUCKET",
		"s3:///prefix":                         "no bucket",
		"s3://host:1/prefix":                   "no bucket",
		"s3://key:pass-word@bucket":            "AWS_ACCESS_KEY_ID",
		"s3://b/a//b":                          "can't be a directory",
		"s3://b/a/../b":                        "can't be a directory",
		"s3://b/.miniftp":                      "can't be a directory",
		"s3://b?cache=yes":                     "known are endpoint, region, memory, times, filer, path",
		"s3://b?path=no&path=yes":              "duplicate",
		"s3://b?path=maybe":                    "yes or no or auto",
		"s3://b?times=now":                     "exact or stored",
		"s3://b?memory=1M":                     "at least 16M",
		"s3://b?memory=pass-word":              "at least 16M",
		"s3://b?endpoint=localhost":            "endpoint: want a URL",
		"s3://b?endpoint=http://u:pass-word@h": "must not contain a user",
		"s3://b?endpoint=http://h/path":        "only scheme and host",
		"s3://b?filer=ftp://h":                 "filer: want a URL",
		"s3://b?%zz=pass-word":                 "malformed",
		"s3://k:pass-word@b/%zz":               "not a valid URL",
	} {
		_, err := s3fs.Parse(raw)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", raw, err, want)
		} else if strings.Contains(err.Error(), "pass-word") {
			t.Errorf("%s: the error %v has the password", raw, err)
		}
	}
}

func TestKeys(t *testing.T) {
	for name, want := range map[string]string{
		"/": "p", "": "p", ".": "p", "/a/../..": "p", "a": "p/a", "/a//b/./c/": "p/a/b/c", "/ä b": "p/ä b", `/a\b`: `p/a\b`,
	} {
		if got, err := s3fs.Key("p", name); got != want || err != nil {
			t.Errorf("key of %q = %q, %v; want %q", name, got, err, want)
		}
	}
	if got, err := s3fs.Key("", "/a/b"); got != "a/b" || err != nil {
		t.Errorf("without prefix: %q, %v", got, err)
	}
	long := strings.Repeat("x", 1020)
	for name, want := range map[string]error{
		"/a\x00": fs.ErrInvalid, "/a\nb": fs.ErrInvalid, "/\x7f": fs.ErrInvalid, "/\xff": syscall.EILSEQ,
		"/.miniftp": fs.ErrPermission, "/a/.miniftp/b": fs.ErrPermission, "/.MiniFTP/x": fs.ErrPermission, "/ab" + long: syscall.ENAMETOOLONG,
	} {
		if _, err := s3fs.Key("p", name); !errors.Is(err, want) {
			t.Errorf("key of %q: %v, want %v", name, err, want)
		}
	}
}

func TestChild(t *testing.T) {
	tests := []struct {
		key, name    string
		dir, ok, odd bool
	}{
		{"d/f", "f", false, true, false},
		{"d/e/", "e", true, true, false},
		{"d/", "", false, false, false},
		{"d/.miniftp/", "", false, false, false},
		{"d/.MINIFTP/", "", false, false, false},
		{"d//", "", false, false, true},
		{"d/./", "", false, false, true},
		{"d/..", "", false, false, true},
		{"d/a\rb", "", false, false, true},
		{"d/\xff", "", false, false, true},
		{"d/..x", "..x", false, true, false},
		{"d/" + strings.Repeat("x", 1023), "", false, false, true},
	}
	for _, tt := range tests {
		name, dir, ok, odd := s3fs.Child("d/", tt.key)
		if ok != tt.ok || odd != tt.odd || (ok && (name != tt.name || dir != tt.dir)) {
			t.Errorf("child %q = %q %v %v %v", tt.key, name, dir, ok, odd)
		}
	}
}

func TestTimeFormats(t *testing.T) {
	when := time.Date(2020, 2, 29, 1, 2, 3, 4, time.UTC)
	for _, s := range []string{s3fs.FormatTime(when), "1582938123.000000004", "2020-02-29T01:02:03.000000004Z"} {
		if got, ok := s3fs.ParseTime(s); !ok || !got.Equal(when) {
			t.Errorf("%q is %v %v", s, got, ok)
		}
	}
	for _, when := range []time.Time{time.Unix(-5, 250e6), time.Unix(0, 0), time.Unix(-1, 0), time.Unix(1<<33, 1)} {
		if got, ok := s3fs.ParseTime(s3fs.FormatTime(when)); !ok || !got.Equal(when) {
			t.Errorf("%v became %v", when, got)
		}
	}
	for _, s := range []string{"", "x", "1.-5", "1.x", "99999999999999999999"} {
		if got, ok := s3fs.ParseTime(s); ok {
			t.Errorf("%q is %v", s, got)
		}
	}
	if got, ok := s3fs.ParseTime("1"); !ok || !got.Equal(time.Unix(1, 0)) {
		t.Errorf("whole seconds: %v %v", got, ok)
	}
}
