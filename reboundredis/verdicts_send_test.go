package reboundredis

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
)

// A breaker obeys a new opening of the fleet while it is closed and not forced.
func TestObey(t *testing.T) {
	for _, row := range []struct {
		name  string
		value string
		left  time.Duration
		last  string
		set   func(*breaker.Breaker)
		want  time.Duration // for which it is open then; 0 = it is not
	}{
		{"new", mark + "a", 30 * time.Second, "", nil, 30 * time.Second},
		{"known", mark + "a", 30 * time.Second, "a", nil, 0},
		{"over", mark + "a", 0, "", nil, 0},
		{"without an end", mark + "a", -1, "", nil, 0},
		{"not ours", "a", 30 * time.Second, "", nil, 0},
		{"longer than Max", mark + "a", time.Hour, "", nil, time.Minute},
		{"open already", mark + "a", 30 * time.Second, "",
			func(b *breaker.Breaker) { b.Trip(10 * time.Second) }, 10 * time.Second},
		{"a shadow", mark + "a", 30 * time.Second, "",
			func(b *breaker.Breaker) { b.Shadow = true }, 0},
		{"forced to be closed", mark + "a", 30 * time.Second, "", (*breaker.Breaker).ForceClose, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &breaker.Breaker{}
			if row.set != nil {
				row.set(b)
			}
			v := &Verdicts{Jitter: 1e-9, around: b, last: row.last}
			v.obey(row.value, row.left)
			got := b.Snapshot()
			if left := got.Remaining; (left-row.want).Abs() > time.Millisecond ||
				row.want == 0 && got.State == breaker.Open {
				t.Errorf("%s: %v for %v, want %v", row.name, got.State, left, row.want)
			}
			known := v.last
			v.obey("not ours", time.Second)
			if v.last != known {
				t.Errorf("%s: a foreign value is taken for the last opening", row.name)
			}
		})
	}
}

// An opening is obeyed for at least half of its time, or not at all.
func TestAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &Verdicts{}
		for i, row := range []struct{ pause, wanted, want time.Duration }{
			{0, 40 * time.Second, 40 * time.Second},
			{0, 40 * time.Second, 20 * time.Second}, // all that is left of a minute
			{0, time.Second, 0},
			{76 * time.Second, 40 * time.Second, 0}, // 19 s are there
			{4 * time.Second, 40 * time.Second, 20 * time.Second},
			{time.Hour, time.Hour, time.Minute},
		} {
			time.Sleep(row.pause)
			if got := v.allow(row.wanted); got != row.want {
				t.Errorf("row %d: %v of %v, want %v", i, got, row.wanted, row.want)
			}
		}
	})
}

// Only the opening of a closed breaker by its calls is sent.
func TestOnChange(t *testing.T) {
	good := breaker.Change{From: breaker.Closed, To: breaker.Open, Why: "failures in a row"}
	v := &Verdicts{around: &breaker.Breaker{}}
	ctx := t.Context()
	for name, change := range map[string]func(*breaker.Change){
		"a failed probe": func(c *breaker.Change) { c.From = breaker.HalfOpen },
		"a closing":      func(c *breaker.Change) { c.To = breaker.Closed },
		"a probe":        func(c *breaker.Change) { c.To = breaker.HalfOpen },
		"forced":         func(c *breaker.Change) { c.Forced = true },
		"a shadow":       func(c *breaker.Change) { c.Shadow = true },
		"asked for":      func(c *breaker.Change) { c.Why = why },
	} {
		c := good
		change(&c)
		v.ctx = ctx
		v.OnChange(c)
		v.work.Wait()
		if v.last != "" {
			t.Errorf("%s: %+v is sent", name, c)
		}
	}
	v.OnChange(good) // its cooldown is over at once, so that nothing is sent
	v.work.Wait()
	if v.last == "" {
		t.Error("an opening is not sent")
	}
}
