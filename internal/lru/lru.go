// Package lru has a map of bounded size that never drops a value in use. Quotas and the proxy keep
// their state by credential, and a caller can make up any number of credentials.
package lru

import (
	"container/list"
	"iter"
	"sync"
)

// Max is how many values a [Map] keeps. It keeps more only while more are in use or busy.
const Max = 1000

// looks is how many values a call examines to drop them. Without this bound, a call could search
// the whole map, because all values may be busy.
const looks = 8

// Value is a value of a [Map]. Busy reports whether it must be kept although it is not in use, for
// example during a pause.
type Value interface{ Busy() bool }

// Map holds a value for each key. If there are more than Max, those that were used least recently
// are dropped. A value that is in use or busy is never dropped. A value that was found busy counts
// as just used.
//
// The zero Map is empty and ready to use. Goroutines may share it. It must not be copied.
type Map[K comparable, V Value] struct {
	mu      sync.Mutex // also guards the entries
	entries map[K]*Entry[K, V]
	idle    list.List // of the entries that are not in use; the least recently used is at the front
}

// Entry is a value in use. Each user calls Done when it has ended.
type Entry[K comparable, V Value] struct {
	Value V // of the key

	of    *Map[K, V]
	key   K
	users int
	place *list.Element // in the list of idle entries; nil while there are users
}

// Use returns the entry of a key, and adds the value of create if there is none. It calls create
// under the lock of the map, as it does Busy: neither may use the map.
func (m *Map[K, V]) Use(key K, create func() V) *Entry[K, V] {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e == nil {
		e = &Entry[K, V]{Value: create(), of: m, key: key}
		if m.entries == nil {
			m.entries = map[K]*Entry[K, V]{}
		}
		m.entries[key] = e
	}
	e.users++
	if e.place != nil {
		m.idle.Remove(e.place)
		e.place = nil
	}
	m.drop()
	return e
}

// Use adds a user to an entry in use.
func (e *Entry[K, V]) Use() {
	e.of.mu.Lock()
	defer e.of.mu.Unlock()
	e.users++
}

// Done removes a user.
func (e *Entry[K, V]) Done() {
	m := e.of
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.users--; e.users == 0 {
		e.place = m.idle.PushBack(e)
	}
	m.drop()
}

// All yields every value, in no particular order. It does not hold the lock meanwhile, so the
// loop's body may use the map.
func (m *Map[K, V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		m.mu.Lock()
		values := make([]V, 0, len(m.entries))
		for _, e := range m.entries {
			values = append(values, e.Value)
		}
		m.mu.Unlock()
		for _, v := range values {
			if !yield(v) {
				return
			}
		}
	}
}

// drop drops values while there are too many. The caller holds m.mu.
func (m *Map[K, V]) drop() {
	for range looks {
		first := m.idle.Front()
		if first == nil || len(m.entries) <= Max {
			return
		}
		e := first.Value.(*Entry[K, V])
		// At the back, it does not keep later looks from the values behind it.
		if e.Value.Busy() {
			m.idle.MoveToBack(first)
			continue
		}
		m.idle.Remove(first)
		delete(m.entries, e.key)
	}
}
