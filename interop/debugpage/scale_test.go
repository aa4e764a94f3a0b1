package debugpage

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/stats"
)

// moving is a limit whose state is a function of the time.
type moving struct {
	gate.Gate
	state func(s float64) limit.Snapshot
	begun time.Time
}

func (m *moving) Snapshot() limit.Snapshot { return m.state(time.Since(m.begun).Seconds()) }

// limits has one limit of each kind.
func limits() (all []rebounddebug.Limit) {
	for _, state := range []func(s float64) limit.Snapshot{
		func(s float64) limit.Snapshot {
			return limit.Snapshot{Name: "db", Kind: "concurrency", Limit: 10, InFlight: 10,
				Waiting: int(s) % 7, Rejected: uint64(3 * s)}
		},
		func(s float64) limit.Snapshot {
			top := 40 - 20*float64(int(s)%2)
			return limit.Snapshot{Name: "search", Kind: "adaptive", Limit: top, InFlight: 12,
				Level: top - 12}
		},
		func(s float64) limit.Snapshot {
			return limit.Snapshot{Name: "api", Kind: "rate", Limit: 500, Level: -12.5, Waiting: 4}
		},
		func(s float64) limit.Snapshot {
			return limit.Snapshot{Name: "batch", Kind: "throttle", Limit: 0.7, Rejected: 1204}
		},
	} {
		all = append(all, &moving{state: state, begun: time.Now()})
	}
	return all
}

// TestManyBreakers shows a page of 5,000 breakers, of which a few are open, with limits, a hedge
// and names that try to reverse the text.
func TestManyBreakers(t *testing.T) {
	ctx := browser(t)
	var many []rebounddebug.Breaker
	for i := range 5000 {
		b := &breaker.Breaker{Name: fmt.Sprintf("tenant %04d", i)}
		if i%1000 == 999 {
			b.ForceOpen()
		}
		many = append(many, b)
	}
	turned := &breaker.Breaker{Name: "txt.\u202eexe"}
	turned.ForceOpen()
	var recorder stats.Recorder
	slow := &hedge.Hedge{Name: "read", After: time.Millisecond}
	for range 3 {
		_, _ = hedge.Do(t.Context(), slow, func(context.Context) (int, error) {
			<-time.After(3 * time.Millisecond)
			return 1, nil
		}, nil)
	}
	shut := &rebound.Policy{Name: "<b>מדיניות\u202e", Breaker: turned, Observe: recorder.Observe}
	for range 3 {
		_, _ = rebound.DoElse(t.Context(), shut,
			func(context.Context) (int, error) { return 0, nil },
			func(context.Context, error) (int, error) { return 1, nil })
	}
	server := httptest.NewServer(rebounddebug.Handler(rebounddebug.Options{
		Title: "many", Policies: []*rebound.Policy{shut}, Breakers: many, Limits: limits(),
		Hedges: []*hedge.Hedge{slow}, Recorder: &recorder,
	}))
	defer server.CloseClientConnections()
	seen := watch(t, ctx)
	do(t, ctx, chromedp.Navigate(server.URL+"/"))
	until(t, ctx, `document.querySelectorAll("#breakers article").length === 100`)
	until(t, ctx, `document.querySelectorAll("#limits tr").length === 4`)
	for expression, want := range map[string]string{
		`$("breakers").querySelectorAll('[data-state="open"]').length + ""`: "6",
		`$("more-breakers").textContent.split(".")[0]`:                      "Not shown: 4,901 closed",
		`document.querySelector("#breakers h3 span").textContent`:           "txt.<U+202E>exe",
		`document.querySelector("#policies th span").textContent`:           "<b>מדיניות<U+202E>",
		`$("totals").lastChild.lastChild.textContent`:                       "6 of 5,001",
		`$("policies").querySelector("td:nth-child(4) span").textContent`:   "×0.00",
	} {
		if got := eval[string](t, ctx, expression); got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
	const redraw = `(() => { const t = []; for (let i = 0; i < 20; i++) {
		const b = performance.now(); show(true); document.body.getBoundingClientRect();
		t.push(performance.now() - b) } return t.sort((a, b) => a - b)[10] })()`
	t.Logf("a redraw takes %.1f ms", eval[float64](t, ctx, redraw))
	until(t, ctx, `samples.get("search").length > 11`)
	until(t, ctx, `$("limits").innerText.includes("3 per s")`)
	looks(t, ctx, "many")
	do(t, ctx, emulation.ClearDeviceMetricsOverride(),
		chromedp.Evaluate(`$("limits-section").scrollIntoView()`, nil))
	screenshot(t, ctx, "limits")
	seen.check(t, server.URL)
}
