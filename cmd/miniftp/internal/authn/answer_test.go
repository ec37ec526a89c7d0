package authn

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseAnswer(t *testing.T) {
	for _, tt := range []struct {
		text, want string // an error begins with "the " or "key "
	}{
		{`{"result":"ok"}`, "ok map[]"},
		{" {\"result\" : \"wrong\"}\n", "wrong map[]"},
		{`{"result":"unknown"}`, "unknown map[]"},
		{`{"account":{"perm":"rw","quota":5,"networks":["10.0.0.0/8"],"fxp":true},"result":"ok"}`, "ok map[fxp:true networks:[10.0.0.0/8] perm:rw quota:5]"},
		{`{"result":"ok","account":{}}`, "ok map[]"},
		{``, "the answer: not JSON"},
		{`ok`, "the answer: not JSON"},
		{`{"result":"ok"} x`, "the answer: not JSON, or something follows it"},
		{`{"result":"ok"}{"result":"ok"}`, "the answer: not JSON, or something follows it"},
		{`["ok"]`, "the answer: not a JSON object"},
		{`null`, "the answer: not a JSON object"},
		{`{}`, `the answer: "result" must be`},
		{`{"result":"OK"}`, `the answer: "result" must be`},
		{`{"result":"failed"}`, `the answer: "result" must be`},
		{`{"result":true}`, `the answer: "result" must be`},
		{`{"Result":"ok"}`, `the answer has the unknown key "Result"`},
		{`{"result":"ok","root":"/"}`, `the answer has the unknown key "root"`},
		{`{"result":"wrong","result":"ok"}`, `the answer: the key "result" occurs twice`},
		{`{"result":"ok","account":{"perm":"ro","perm":"rw"}}`, `the account in its answer: the key "perm" occurs twice`},
		{`{"result":"ok","account":null}`, `the account in its answer: not a JSON object`},
		{`{"result":"unknown","account":{}}`, `the answer has an "account", which only "ok" may have`},
		{`{"result":"ok"}` + strings.Repeat(" ", maxAnswer), "the answer has more than 65536 bytes"},
		{strings.Repeat(`{"a":`, 12000), "the answer: not JSON"},
	} {
		a, err := parseAnswer([]byte(tt.text))
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(resultNames[a.result], " ", a.account)
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%.60s: %s", tt.text, got)
		}
	}
	a, err := parseAnswer([]byte(`{"result":"ok","account":{"a":7,"b":7.5,"c":1e400}}`))
	if err != nil || !reflect.DeepEqual(a.account["a"], int64(7)) {
		t.Errorf("%v, %v", a, err)
	}
	for _, key := range []string{"b", "c"} {
		if _, isText := a.account[key].(string); isText {
			t.Errorf("%s is a text", key)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"result":"ok","account":{"perm":"rw","quota":5,"networks":["10.0.0.0/8"]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if a, err := parseAnswer(text); err == nil && (a.result < ok || a.result > unknown) {
			t.Errorf("%q: result %d", text, a.result)
		}
	})
}

// TestScrub: a password does not get into the log, however a program quotes it.
func TestScrub(t *testing.T) {
	const password = `pä"s\s`
	for _, text := range []string{password, `p\u00e4\"s\\s`, `pä\"s\\s`} {
		if got := scrub("x "+text+" y", password); got != "x **** y" {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := scrub("text", ""); got != "text" {
		t.Error(got)
	}
}
