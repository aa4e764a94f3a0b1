package lru

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// item is a value that records its key.
type item struct {
	key   int
	busy  atomic.Bool
	users atomic.Int64 // by the test's own count
}

func (i *item) Busy() bool { return i.busy.Load() }

type items = Map[int, *item]

func use(m *items, key int) *Entry[int, *item] {
	return m.Use(key, func() *item { return &item{key: key} })
}

// touch uses keys for a moment.
func touch(m *items, keys ...int) {
	for _, k := range keys {
		use(m, k).Done()
	}
}

func upTo(from, to int) (keys []int) {
	for k := from; k < to; k++ {
		keys = append(keys, k)
	}
	return keys
}

func keysOf(m *items) (keys []int) {
	for v := range m.All() {
		keys = append(keys, v.key)
	}
	slices.Sort(keys)
	return keys
}

func wantKeys(t *testing.T, m *items, want ...int) {
	t.Helper()
	if got := keysOf(m); !slices.Equal(got, want) {
		t.Errorf("%d values, want %d: got %v, want %v", len(got), len(want), got, want)
	}
}

func TestLeastRecentlyUsedIsDropped(t *testing.T) {
	var m items
	touch(&m, upTo(0, Max)...)
	wantKeys(t, &m, upTo(0, Max)...)
	touch(&m, 0, 2) // is a use, though the values are not new
	touch(&m, Max, Max+1)
	wantKeys(t, &m, append([]int{0, 2}, upTo(4, Max+2)...)...)
}

func TestValueInUseIsKept(t *testing.T) {
	var m items
	held := use(&m, -1)
	held.Use() // a second user
	touch(&m, upTo(0, 3*Max)...)
	held.Done()
	touch(&m, upTo(0, 3*Max)...)
	if again := use(&m, -1); again != held {
		t.Error("a value in use was replaced")
	} else {
		again.Done()
	}
	held.Done()
	touch(&m, upTo(0, Max)...)
	wantKeys(t, &m, upTo(0, Max)...)
}

// If all values are in use, none is dropped. Afterwards the map shrinks again.
func TestMapGrowsWithValuesInUse(t *testing.T) {
	var m items
	var all []*Entry[int, *item]
	for k := range 3 * Max {
		all = append(all, use(&m, k))
	}
	wantKeys(t, &m, upTo(0, 3*Max)...)
	for _, e := range all {
		e.Done()
	}
	wantKeys(t, &m, upTo(2*Max, 3*Max)...)
	if m.idle.Len() != Max {
		t.Errorf("%d idle entries, want %d", m.idle.Len(), Max)
	}
}

func TestBusyValueIsKept(t *testing.T) {
	var m items
	busy := upTo(0, 2*Max)
	for _, k := range busy {
		e := use(&m, k)
		e.Value.busy.Store(true)
		e.Done()
	}
	wantKeys(t, &m, busy...)
	touch(&m, upTo(2*Max, 5*Max)...)
	if got := keysOf(&m); !slices.Equal(got[:2*Max], busy) {
		t.Fatalf("busy values were dropped: %d are left", len(got))
	} else if len(got) > 2*Max+2*Max/looks { // each call looks at some of the busy ones
		t.Errorf("%d values, of which %d are busy", len(got), 2*Max)
	}
	for v := range m.All() {
		v.busy.Store(false)
	}
	touch(&m, upTo(5*Max, 6*Max)...)
	wantKeys(t, &m, upTo(5*Max, 6*Max)...)
}

// A value that is used by many goroutines at once is one value, and no user is left behind.
func TestHammer(t *testing.T) {
	var m items
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(g)))
			for range 5000 {
				// A few keys are used all the time, and many now and then.
				key := random.IntN(20)
				if random.IntN(2) == 0 {
					key = random.IntN(3 * Max)
				}
				e := use(&m, key)
				v := e.Value
				v.users.Add(1)
				if random.IntN(4) == 0 {
					v.busy.Store(!v.busy.Load())
				}
				if random.IntN(4) == 0 {
					e.Use()
					e.Done()
				}
				if other := use(&m, key); other.Value != v {
					t.Errorf("key %d has another value while the first is in use", key)
				} else {
					other.Done()
				}
				v.users.Add(-1)
				e.Done()
			}
		})
	}
	wg.Wait()
	for v := range m.All() {
		v.busy.Store(false)
		if n := v.users.Load(); n != 0 {
			t.Errorf("key %d has %d users", v.key, n)
		}
	}
	touch(&m, upTo(0, 3*Max)...)
	wantKeys(t, &m, upTo(2*Max, 3*Max)...)
}
