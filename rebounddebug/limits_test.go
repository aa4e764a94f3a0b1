package rebounddebug_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/rebounddebug"
)

// fixed is a limit that does not change.
type fixed struct {
	gate.Gate
	state limit.Snapshot
}

func (f *fixed) Snapshot() limit.Snapshot { return f.state }

// limits are the limits and hedges in the JSON.
type limits struct {
	Limits  []limitRow
	LeftOut int `json:"limits_left_out"`
	Hedges  []struct {
		ID            string
		Calls, Hedges int
	}
}

type limitRow struct {
	ID, Kind          string
	Limit, Level      float64
	InFlight, Waiting int
}

func lookAtLimits(t *testing.T, o rebounddebug.Options) (v limits) {
	t.Helper()
	w := get(rebounddebug.Handler(o), "?format=json")
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v:\n%s", err, w.Body)
	}
	return v
}

// ids are the ids of the limits in the shown order.
func (v limits) ids() (ids []string) {
	for _, l := range v.Limits {
		ids = append(ids, l.ID)
	}
	return ids
}

// Limits are found among the gates, each once. Those that delay or reject attempts come first.
func TestLimits(t *testing.T) {
	of := func(name, kind string, most, level float64, inFlight, waiting int) *fixed {
		return &fixed{state: limit.Snapshot{Name: name, Kind: kind, Limit: most, Level: level,
			InFlight: inFlight, Waiting: waiting}}
	}
	free, full := of("", "concurrency", 10, 7, 3, 0), of("full", "concurrency", 2, 0, 2, 0)
	idle := of("idle", "adaptive", 0, 0, 0, 0)
	v := lookAtLimits(t, rebounddebug.Options{
		Policies: []*rebound.Policy{{Name: "p", Gates: []gate.Gate{free, full}}, nil},
		Limits: []rebounddebug.Limit{
			full, of("p", "rate", 500, 3, 0, 0), of("debt", "rate", 500, -3, 0, 0), idle, nil,
			of("sheds", "throttle", 0.9, 0, 0, 0), of("passes", "throttle", 1, 0, 0, 0),
			of("queue", "rate", math.Inf(1), math.NaN(), 0, 3),
		},
		LimitGroups: []iter.Seq[limit.Snapshot]{slices.Values([]limit.Snapshot{
			{Name: "host/b", Kind: "rate", Limit: 1, Level: 1}, {Name: "host/a", Kind: "rate"},
		})},
	})
	want := []string{"full", "debt", "sheds", "queue", "p", "p #2", "idle", "passes", "host/a",
		"host/b"}
	if !slices.Equal(v.ids(), want) || v.LeftOut != 0 {
		t.Errorf("limits %q, want %q", v.ids(), want)
	}
}

// All kinds of package limit are found among the gates.
func TestKindsOfLimits(t *testing.T) {
	v := lookAtLimits(t, rebounddebug.Options{Policies: []*rebound.Policy{{Gates: []gate.Gate{
		&limit.Rate{Name: "r", N: 5}, &limit.Throttle{Name: "t"}, &limit.Concurrency{Name: "c", Max: 2},
		&limit.Adaptive{Name: "a"},
	}}}})
	var got []string
	for _, l := range v.Limits {
		got = append(got, l.ID+" "+l.Kind)
	}
	want := []string{"r rate", "t throttle", "c concurrency", "a adaptive"}
	if !slices.Equal(got, want) {
		t.Errorf("limits %q, want %q", got, want)
	}
}

// A group of package limit is given by Values.
func TestLimitGroup(t *testing.T) {
	var g limit.Group[string, limit.Concurrency]
	pass, err := g.For("b").Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer g.For("b").Leave(pass, gate.Outcome{})
	v := lookAtLimits(t, rebounddebug.Options{
		LimitGroups: []iter.Seq[limit.Snapshot]{rebounddebug.Values(g.All())},
	})
	if len(v.Limits) != 1 || !strings.Contains(v.Limits[0].ID, "b") {
		t.Errorf("limits %+v, want that of b", v.Limits)
	}
}

func TestManyLimits(t *testing.T) {
	group := func(yield func(limit.Snapshot) bool) {
		for i := range 1000 {
			s := limit.Snapshot{Name: fmt.Sprintf("h%03d", i), Kind: "rate", Waiting: max(0, i-997)}
			if !yield(s) {
				return
			}
		}
	}
	v := lookAtLimits(t, rebounddebug.Options{LimitGroups: []iter.Seq[limit.Snapshot]{group}})
	if got := strings.Join(v.ids()[:3], " "); got != "h998 h999 h000" || len(v.Limits) != 100 ||
		v.LeftOut != 900 {
		t.Errorf("%d limits, %s …, %d left out; want 100, h998 h999 h000 …, 900", len(v.Limits),
			got, v.LeftOut)
	}
}

func TestHedges(t *testing.T) {
	h := &hedge.Hedge{Name: "h"}
	_, err := hedge.Do(t.Context(), h, func(context.Context) (int, error) { return 1, nil }, nil)
	v := lookAtLimits(t, rebounddebug.Options{Hedges: []*hedge.Hedge{h, {}, h, {Name: "h"}, nil}})
	var ids []string
	for _, row := range v.Hedges {
		ids = append(ids, fmt.Sprint(row.ID, " ", row.Calls))
	}
	if want := []string{"h 1", "(unnamed) 0", "h #2 0"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("hedges %q, want %q: %v", ids, want, err)
	}
}
