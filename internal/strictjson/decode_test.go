package strictjson_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/internal/strictjson"
	"github.com/rebound-go/rebound/policyfile"
)

func TestDecode(t *testing.T) {
	type common struct {
		Name    string
		Timeout time.Duration
		Secret  string `json:"-"`
	}
	var v struct {
		common
		Timeout int
		Policy  policyfile.Policy
		Hosts   []struct {
			URL string `json:"url"`
		}
	}
	text := `{"name": "n", "timeout": 5, "policy": {"attempts": 2}, "hosts": [{"url": "u"}]}`
	_, err := strictjson.Decode("c.json", []byte(text), &v)
	if err != nil || v.Name != "n" || v.Timeout != 5 || v.common.Timeout != 0 ||
		v.Policy.Attempts != 2 || len(v.Hosts) != 1 || v.Hosts[0].URL != "u" {
		t.Errorf("got %+v, %v from %s", v, err, text)
	}
	var c common
	_, err = strictjson.Decode("c.json", []byte(`{"timeout": "1m", "secret": "x"}`), &c)
	want := "c.json:1: secret: there is no such field: want one of name, timeout"
	if fmt.Sprint(err) != want || c.Timeout != time.Minute {
		t.Errorf("got %+v, %v, want %s", c, err, want)
	}
}

func ExampleDecode() {
	var config struct {
		Listen  string
		Timeout time.Duration
		Policy  policyfile.Policy
	}
	fields, err := strictjson.Decode("config.json", []byte(`{
  "listen": ":8080",
  "timeout": "30s",
  "policy": {
    "attempt_timeout": "5s",
    "max_elapsed": "2s"
  }
}`), &config)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = config.Policy.Build("upstream")
	err = fields.Blame("policy", err)
	fmt.Println(config.Timeout)
	fmt.Println(strings.ReplaceAll(err.Error(), ": ", ":\n\t"))
	// Output:
	// 30s
	// config.json:5:
	//	policy.attempt_timeout is 5s, which is more than the 2s of max_elapsed:
	//	want at most that
}

// A text that is not exactly JSON, or not exactly of the type, is an error with a line and a field.
func TestStrict(t *testing.T) {
	type inner struct {
		Base  time.Duration `zero:"100ms,unless kind=constant"`
		Kind  string
		Retry []string `zero:"all"`
	}
	type number int
	type key string
	for _, row := range []struct {
		text string
		want string // "" = decoded
	}{
		{`{"base": "1s"}`, ""},
		{"{\"base\": \"1s\"}\n", ""},
		{"\ufeff{\"base\": \"1s\"}", ""},
		{"\ufeff\n{\"bse\": 1}", `f:2: bse: there is no such field: did you mean "base"?`},
		{`{"base": "1s"},,,`, "f:1: there is more after the value: want one value"},
		{`{"base": "1s"}:`, "f:1: there is more after the value: want one value"},
		{`{"base": "1s"} {}`, "f:1: there is more after the value: want one value"},
		{"{}\n\n]", "f:3: there is more after the value: want one value"},
		{`{"base": "0s"}`, "f:1: base: zero would mean the default, which is 100ms: " +
			"leave the field out for that, or set another value"},
		{`{"kind": "linear", "base": "0s"}`, "f:1: base: zero would mean the default, which is " +
			"100ms: leave the field out for that, or set another value"},
		{`{"kind": "constant", "base": "0s"}`, ""},
		{`{"base": "0s", "kind": "constant"}`, ""},
		{`{"retry": []}`, "f:1: retry: an empty list would mean the default, which is all: " +
			"leave the field out for that, or set another value"},
		{`{"retry": ["a"]}`, ""},
		{"{\n\"base\": true}", "f:2: base: want a text, got true"},
		{"{\"kind\": \"x\",\n\n  \"base\":\n\ntrue}", "f:5: base: want a text, got true"},
		{"{\"kind\": \"x\"\n,\"bse\": 1}", `f:2: bse: there is no such field: did you mean "base"?`},
		{`{"base": null}`, "f:1: base: want a text, got nothing: leave the field out for its default"},
		{`{"base": "1s", "base": "2s"}`, "f:1: base: it is set twice, first in line 1: want one"},
		{`{"base": "1s"`, "f:1: the file ends too early"},
		{``, "f:1: the file ends too early"},
	} {
		var v inner
		_, err := strictjson.Decode("f", []byte(row.text), &v)
		if got := fmt.Sprint(err); row.want == "" && err != nil || row.want != "" && got != row.want {
			t.Errorf("%s: got %v, want %q", row.text, err, row.want)
		}
	}
	if _, err := strictjson.Decode("f", []byte(`{"a": 1}`), map[string]int{}); err == nil {
		t.Error("a map that is not pointed to is accepted")
	}
	for _, target := range []any{nil, (*inner)(nil), inner{}} {
		if _, err := strictjson.Decode("f", []byte(`{}`), target); err == nil {
			t.Errorf("%T is accepted as a target", target)
		}
	}
	var named map[key]number
	if _, err := strictjson.Decode("f", []byte(`{"a": 1}`), &named); err != nil || named["a"] != 1 {
		t.Errorf("a map with keys of a type of its own: got %v, %v", named, err)
	}
}

// A field is named once, as the file spells it; so is one that the file leaves out.
func TestBlameNamesFieldsOnce(t *testing.T) {
	var v struct {
		Clients struct {
			Rate    float64
			Windows []struct{ From int }
		}
	}
	text := "{\"clients\":\n{\"rate\": 1,\n\"windows\": [{}, {\"from\": 3}]}}"
	fields, err := strictjson.Decode("f", []byte(text), &v)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ text, want string }{
		{"sim: Scenario.Clients.Rate is -10: want 0 or more", "f:2: clients.rate is -10: want 0 or more"},
		{"sim: Scenario.Clients.Count is 0: want a Rate", "f:2: clients.count is 0: want a rate"},
		{"Scenario.Clients.Windows[1].From is 3", "f:3: clients.windows[1].from is 3"},
		{"Scenario.Clients.Windows[1].To is 3", "f:3: clients.windows[1].to is 3"},
		{"Scenario.Clients: net: Net.Rate is 0: no", "f:2: clients.rate is 0: no"},
		{"Scenario.Clients: breaker a: SlowAfter is 0s: no", "f:2: clients.slow_after is 0s: no"},
		{"limit.Clients: Rate is 0: no", "f:2: clients.rate is 0: no"},
		{"limit.Clients a: Rate is 0: no", "f:2: clients.rate is 0: no"},
		{"limit.Other: Clients.Rate is 0: no", "f:2: clients.rate is 0: no"},
		{"Clients.Rate: \"x\" is not a rate", "f:2: clients.rate: \"x\" is not a rate"},
		{"Clients.Rate is 0: want \"Rate\", Rates, Retry-Rate or Clients.Windows[0].From",
			`f:2: clients.rate is 0: want "Rate", Rates, Retry-Rate or clients.windows[0].from`},
		{"it is wrong: want another", "f:1: it is wrong: want another"},
		{"there is no file: A.B is what", "f:1: there is no file: A.B is what"},
	} {
		cause := errors.New(row.text)
		err := fields.Blame("", cause)
		if err.Error() != row.want || !errors.Is(err, cause) {
			t.Errorf("%s: got %v, want %s", row.text, err, row.want)
		}
	}
}

// An error about a field from a flag names the flag. So does one about unset fields around it.
func TestBlameOnFlags(t *testing.T) {
	var v struct {
		Rate    float64
		Seed    int
		Clients struct{ Rate, Count, Calls float64 }
		Windows []struct{ From, To int }
	}
	text := "{\"seed\": 1,\n\"clients\":\n{\"rate\": 1},\n\"windows\": [{}, {\"from\": 3}]}"
	fields, err := strictjson.Decode("f", []byte(text), &v)
	if err != nil {
		t.Fatal(err)
	}
	fields.Inherit("clients")
	alone := strictjson.FieldsOf(&v)
	flagged := fields.Clone()
	flagged.Give("clients.count", "--set clients.count")
	flagged.Give("clients.count", "--sweep clients.count")
	flagged.Give("windows[1].to", "--set windows[1].to")
	for _, row := range []struct {
		fields     *strictjson.Fields
		text, want string
	}{
		{fields, "Clients.Count is 0: no", "f:3: clients.count is 0: no"},
		{fields, "Scenario.Rate is 0: no", "f:3: rate is 0: no"},
		{flagged, "Clients.Count is 0: no", "--sweep clients.count is 0: no"},
		{flagged, "Clients.Calls is 0: no", "--sweep clients.count: clients.calls is 0: no"},
		{flagged, "Clients.Rate is 0: no", "f:3: clients.rate is 0: no"},
		{flagged, "Windows[1].From is 0: no", "f:4: windows[1].from is 0: no"},
		{flagged, "Windows[0].From is 0: no", "f:4: windows[0].from is 0: no"},
		{flagged, "Windows is 0: no", "--set windows[1].to: windows is 0: no"},
		{flagged, "Scenario.Seed is 0: no", "f:1: seed is 0: no"},
		{flagged, "Scenario.Rate is 0: no", "--set windows[1].to: rate is 0: no"},
		{alone, "Clients.Count is 0: want Rate", "count is 0: want rate"},
	} {
		if got := row.fields.Blame("", errors.New(row.text)).Error(); got != row.want {
			t.Errorf("%s: got %s, want %s", row.text, got, row.want)
		}
	}
}

// A message has one line, whatever is in the file.
func TestShortMessages(t *testing.T) {
	var v struct{ Clients struct{ Rate float64 } }
	long := strings.Repeat("x", 100_000)
	_, err := strictjson.Decode("f", []byte(`{"`+long+`": "`+long+`"}`), &v)
	_, err2 := strictjson.Decode("f", []byte(`{"clients": "`+long+`"}`), &v)
	for _, err := range []error{err, err2} {
		if n := len(err.Error()); n > 300 {
			t.Errorf("got an error of %d bytes, want a line", n)
		}
	}
	if got := strictjson.Key("evil\x1b[31m\n"); got != `"evil\x1b[31m\n"` {
		t.Errorf("got the key %s, want it in quotes", got)
	}
}
