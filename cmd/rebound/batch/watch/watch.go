// Package watch serves the state of a running batch, as a page and as metrics for Prometheus.
package watch

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/stats"
)

// Watch serves a run. Before Begin, its pages are empty.
type Watch struct {
	GivenRequests, GivenTokens bool // the limit was set by a flag, and is not learned

	recorder stats.Recorder
	live     atomic.Pointer[batch.Live]
	page     atomic.Pointer[http.Handler]
}

// Observe makes the page show a policy. Call it before the policy is used.
func (w *Watch) Observe(p *rebound.Policy) {
	if p.Name == "" {
		p.Name = "batch"
	}
	if p.Observe == nil {
		p.Observe = w.recorder.Observe
	}
	page := rebounddebug.Handler(rebounddebug.Options{
		Title: "rebound batch", Policies: []*rebound.Policy{p}, Recorder: &w.recorder,
		LimitGroups: []iter.Seq[limit.Snapshot]{w.limits},
	})
	w.page.Store(&page)
}

// Begin sets the run.
func (w *Watch) Begin(live batch.Live) { w.live.Store(&live) }

func (w *Watch) limits(yield func(limit.Snapshot) bool) {
	if live := w.live.Load(); live != nil {
		for _, s := range (*live).Limits() {
			if !yield(s) {
				return
			}
		}
	}
}

// Metrics serves the text format of Prometheus.
func (w *Watch) Metrics() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/plain; version=0.0.4")
		if live := w.live.Load(); live != nil {
			_, _ = io.WriteString(rw, w.metrics(*live))
		}
	})
}

func (w *Watch) metrics(live batch.Live) string {
	var b strings.Builder
	p := live.Progress()
	kind := func(name, kind string) { fmt.Fprintf(&b, "# TYPE rebound_batch_%s %s\n", name, kind) }
	value := func(name, labels string, v float64) {
		fmt.Fprintf(&b, "rebound_batch_%s%s %v\n", name, labels, v)
	}
	kind("rows", "gauge")
	value("rows", `{state="done"}`, float64(p.Done))
	value("rows", `{state="failed"}`, float64(p.Failed))
	value("rows", `{state="pending"}`, float64(p.Rows-p.Done-p.Failed-p.InDoubt))
	value("rows", `{state="in_doubt"}`, float64(p.InDoubt))
	kind("in_flight", "gauge")
	value("in_flight", "", float64(p.InFlight))
	kind("in_doubt", "gauge")
	value("in_doubt", "", float64(p.InDoubt))
	kind("cost_usd", "gauge")
	value("cost_usd", "", p.Spent)
	kind("tokens", "counter")
	value("tokens", `{kind="input"}`, p.Tokens[0])
	value("tokens", `{kind="output"}`, p.Tokens[1])
	kind("limit", "gauge")
	for _, s := range live.Limits() {
		if s.Limit > 0 {
			value("limit", w.labels(s), s.Limit)
		}
	}
	return b.String()
}

// labels returns the kind, the source and the name of a limit.
func (w *Watch) labels(s limit.Snapshot) string {
	kind, source := "in_flight", "adaptive"
	switch {
	case strings.HasSuffix(s.Name, " requests"):
		kind, source = "requests", origin(w.GivenRequests)
	case strings.HasSuffix(s.Name, " tokens"):
		kind, source = "tokens", origin(w.GivenTokens)
	}
	return fmt.Sprintf("{kind=%q,source=%q,name=%q}", kind, source, s.Name)
}

func origin(given bool) string {
	if given {
		return "flag"
	}
	return "server"
}

// card is the page of a batch. It has only numbers, so it does without html/template: see
// TestLinkerDropsMethods in internal/house.
const card = `<!doctype html><meta charset="utf-8">
<meta http-equiv="refresh" content="2"><title>rebound batch</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:40em;padding:0 1em}
td{padding:0 1em 0 0}progress{width:100%%}</style>
<h1>rebound batch</h1>
<progress max="%d" value="%d"></progress>
<table>
<tr><td>rows<td>%d
<tr><td>done<td>%d
<tr><td>failed<td>%d
<tr><td>in flight<td>%d
<tr><td>put off<td>%d
<tr><td>in doubt<td>%d
<tr><td>rows per second<td>%.1f
<tr><td>spent<td>$%.4f
<tr><td>time left, about<td>%v
</table>
<p><a href="policy/">The policy, its attempts and the limits</a>
`

// Page serves the state of the batch at /, and its policy and limits below /policy/. Both are
// read-only.
func (w *Watch) Page() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, _ *http.Request) {
		h := rw.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		if live := w.live.Load(); live != nil {
			p := (*live).Progress()
			_, _ = fmt.Fprintf(rw, card, p.Rows, p.Ended, p.Rows, p.Done, p.Failed, p.InFlight, p.Deferred,
				p.InDoubt, p.PerSecond, p.Spent, p.Left.Round(time.Second))
		}
	})
	mux.HandleFunc("/policy/", func(rw http.ResponseWriter, req *http.Request) {
		if page := w.page.Load(); page != nil {
			http.StripPrefix("/policy", *page).ServeHTTP(rw, req)
		}
	})
	return mux
}
