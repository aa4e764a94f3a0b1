package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The configuration of all libraries.
const (
	baseDelay   = 100 * time.Millisecond
	maxDelay    = 10 * time.Second
	callTimeout = time.Second
)

var errTransient = errors.New("transient")

var (
	counting bool         // a test counts
	calls    atomic.Int64 // calls of work and flaky, while counting
)

// work is the call that libraries protect. It succeeds.
//
//go:noinline
func work(_ context.Context, id int) (int, error) {
	if counting {
		calls.Add(1)
	}
	return id + 1, nil
}

// flaky is work that fails twice.
//
//go:noinline
func flaky(_ context.Context, n *int, id int) (int, error) {
	if counting {
		calls.Add(1)
	}
	if *n++; *n <= 2 {
		return 0, errTransient
	}
	return id + 1, nil
}

// fails opens breakers while they are set up.
func fails() (int, error) { return 0, errTransient }

// keys are the keys of breaker_keyed.
var keys = numbered("svc-", 1024)

func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%06d", prefix, i)
	}
	return names
}

// held returns the Held of objects that have no keys.
func held[T any](create func() T, touch func(T)) func([]any) {
	return func(keep []any) {
		for i := range keep {
			v := create()
			touch(v)
			keep[i] = v
		}
	}
}

// heldKeys are the keys of held_key.
var heldKeys = sync.OnceValue(func() []string { return numbered("service-", Held) })

// heldByKey returns the Held of a registry. create makes the registry, and call makes a call by a
// key.
func heldByKey[T any](create func() T, call func(registry T, key string)) func([]any) {
	return func(keep []any) {
		registry := create()
		for _, key := range heldKeys()[:len(keep)] {
			call(registry, key)
		}
		keep[0] = registry
	}
}

// heldInMap is heldByKey for libraries without a registry.
func heldInMap[T any](create func() T, touch func(T)) func([]any) {
	return heldByKey(func() *sync.Map { return new(sync.Map) }, func(m *sync.Map, key string) {
		v, ok := m.Load(key)
		if !ok {
			v, _ = m.LoadOrStore(key, create())
		}
		touch(v.(T))
	})
}
