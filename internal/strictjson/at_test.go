package strictjson_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rebound-go/rebound/internal/strictjson"
	"github.com/rebound-go/rebound/policyfile"
)

func TestSet(t *testing.T) {
	type target struct {
		Name    string
		Workers int
		On      bool
		Wait    time.Duration
		Windows []struct{ Share float64 }
		Policy  *policyfile.Policy
	}
	for _, row := range []struct{ path, text, want string }{ // want = what was set, or the error
		{"workers", "5", "5"},
		{"name", "five", "five"},
		{"name", "5", `5`},
		{"on", "true", "true"},
		{"wait", "1m30s", "1m30s"},
		{"windows[1].share", "0.5", "0.5"},
		{"policy.attempts", "4", "4"},
		{"policy.attempts", "unlimited", "-1"},
		{"policy.backoff.base", "2s", "2s"},
		{"workers", "many", `workers: want a whole number in its range, got "many"`},
		{"workers", "99999999999999999999", "workers: want a whole number in its range, got " +
			"99999999999999999999"},
		{"workers", "1.5", "workers: want a whole number in its range, got 1.5"},
		{"wait", "-5s", `wait: "-5s" is not a duration: want a number and a unit, such as 500ms or ` +
			`1m30s`},
		{"wrkers", "5", `wrkers: there is no such field: did you mean "workers"?`},
		{"policy.bakoff.base", "5s", `policy.bakoff: there is no such field: did you mean "backoff"?`},
		{"windows[2].share", "5", "windows has no item [2]"},
		{"workers[0]", "5", "workers has no item [0]"},
		{"workers.x", "5", "workers.x: workers has no fields"},
		{"windows[", "5", `windows[: "windows[" is not part of a path: want a name, such as workers`},
		{"", "5", `: "" is not part of a path: want a name, such as workers`},
		{"policy", `{"attempts": 0}`, `policy: attempts: "0" is not a number of attempts: want 1 or ` +
			`more, or "unlimited"`},
	} {
		v := target{Windows: make([]struct{ Share float64 }, 2)}
		err := strictjson.Set(&v, row.path, row.text)
		got := fmt.Sprint(err)
		if err == nil {
			p := cmp.Or(v.Policy, &policyfile.Policy{})
			if p.Backoff == nil {
				p.Backoff = &policyfile.Backoff{}
			}
			got = fmt.Sprint(map[string]any{
				"workers": v.Workers, "name": v.Name, "on": v.On, "wait": v.Wait,
				"windows[1].share": v.Windows[1].Share, "policy.attempts": int(p.Attempts),
				"policy.backoff.base": time.Duration(p.Backoff.Base),
			}[row.path])
		}
		if got != row.want {
			t.Errorf("%s=%s: got %s, want %s", row.path, row.text, got, row.want)
		}
	}
	want := []string{"name", "on", "policy", "wait", "windows", "workers"}
	if got := strictjson.Names(&target{}); !slices.Equal(got, want) {
		t.Errorf("got the names %q, want %q", got, want)
	}
}
