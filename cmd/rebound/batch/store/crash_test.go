package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
)

// crashModel checks what must hold for a batch, whatever the disk does.
type crashModel struct {
	t    *testing.T
	d    *simDisk
	hold bool   // rows in doubt are not sent again
	work func() // is what a server does with some rows

	mu      sync.Mutex
	rng     *rand.Rand
	effects [24]int // of each row, at the server
	doubt   int     // rows that were in doubt, over all runs
}

func (m *crashModel) id(i int) string { return fmt.Sprintf(`row "%d" ü`, i) }

func (m *crashModel) line(i int, code int, stopped string) []byte {
	return fmt.Appendf(nil, `{"custom_id":%q,"id":"rebound-0","response":{"status_code":%d,"body":`+
		`{"rebound":{"a":1}}},"error":null,"rebound":{"attempts":1,"cost":0.5,"stopped":%q}}`+"\n",
		m.id(i), code, stopped)
}

func (m *crashModel) chance(percent int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.IntN(100) < percent
}

// life is one run of the batch, as in package batch.
func (m *crashModel) life(retry bool) (err error) {
	s, err := openOn(m.d, "out", true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	key, err := s.Key()
	if err != nil {
		return err
	}
	table := NewTable(len(m.effects))
	for i := range m.effects {
		table.Add(Row{ID: key.Hash(m.id(i))})
	}
	table.Complete()
	before, err := s.Recover(table, key)
	if err != nil {
		return err
	}
	m.doubt += table.Count()[InDoubt]
	if retry {
		_, err := s.Retry(table, key, before.Generation+1, func(e results.Ending) bool {
			return e.Stopped == "" && m.chance(70)
		})
		if err != nil {
			return err
		}
	}
	s.Begin()
	var workers sync.WaitGroup
	var errs [3]error
	for w := range errs {
		workers.Go(func() {
			for i := w; i < len(m.effects) && errs[w] == nil; i += len(errs) {
				place, _ := table.Find(key.Hash(m.id(i)))
				errs[w] = m.row(s, i, Row{ID: key.Hash(m.id(i))}, table.State(place))
			}
		})
	}
	workers.Wait()
	return errors.Join(errs[:]...)
}

// row does the work of a row.
func (m *crashModel) row(s *Store, i int, k Row, state State) error {
	switch {
	case state == Done || state == Failed:
		return nil
	case state == InDoubt && m.hold:
		return s.Finish(m.line(i, 0, "in doubt"), true)
	}
	for m.chance(20) { // the server has no time
		if err := s.Start(k, 7); err != nil {
			return err
		}
		s.GiveBack(k)
	}
	if err := s.Start(k, 7); err != nil {
		return err
	}
	if m.chance(50) {
		m.work()
	}
	if m.chance(20) { // the server rejects the row
		return s.Finish(m.line(i, 400, ""), true)
	}
	m.mu.Lock()
	m.effects[i]++
	m.mu.Unlock()
	return s.Finish(m.line(i, 200, ""), false)
}

// check runs the batch to its end, and compares its files to what has happened.
func (m *crashModel) check() {
	m.t.Helper()
	if err := m.life(false); err != nil {
		m.t.Fatalf("the last run: %v\n%s", err, m.files())
	}
	for n := 1; bytes.Contains(m.d.names["out.journal"].data, fmt.Appendf(nil, "\nG %d ", n)); n++ {
		if m.d.names[fmt.Sprintf("out.errors.%d", n)] == nil {
			m.t.Fatalf("the errors of generation %d were not taken up\n%s", n, m.files())
		}
	}
	found := map[string]int{}
	for _, name := range []string{"out", "out.errors"} {
		for line := range bytes.Lines(m.d.names[name].data) {
			o, err := results.Read(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				m.t.Fatalf("%s: %v\n%s", name, err, m.files())
			}
			found[o.ID]++
		}
	}
	repeated := 0
	for i, n := range m.effects {
		if found[m.id(i)] != 1 {
			m.t.Fatalf("%s has %d lines, want 1\n%s", m.id(i), found[m.id(i)], m.files())
		}
		repeated += max(n-1, 0)
	}
	if repeated > m.doubt || m.hold && repeated > 0 {
		m.t.Fatalf("%d effects were repeated, %d rows were in doubt, hold %v\n%s", repeated, m.doubt,
			m.hold, m.files())
	}
}

func (m *crashModel) files() (text string) {
	for name, n := range m.d.names {
		text += fmt.Sprintf("--- %s\n%q\n", name, n.data)
	}
	return text
}

// The first run fails at its first, second, third… system call, the next one at a random call. Then
// the batch runs to its end.
func TestAnyCallMayFail(t *testing.T) {
	const callsOfARun = 160
	for _, test := range []struct {
		name  string
		how   simFailure
		power bool
	}{
		{"the process dies", crashes, false},
		{"the power is cut", crashes, true},
		{"the disk is full", fills, false},
		{"the disk is full, then the power is cut", fills, true},
		{"a sync fails", syncFails, false},
		{"a sync fails, then the power is cut", syncFails, true},
		{"a rename fails", renFails, false},
	} {
		for _, hold := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/hold=%v", test.name, hold), func(t *testing.T) {
				for call := range callsOfARun {
					synctest.Test(t, func(t *testing.T) {
						rng := rand.New(rand.NewPCG(uint64(call), uint64(test.how)))
						m := &crashModel{t: t, d: newSimDisk(rng), hold: hold,
							rng:  rand.New(rand.NewPCG(uint64(call), 9)),
							work: func() { time.Sleep(80 * time.Millisecond) }}
						if call%2 == 1 { // errors to retry
							_ = m.life(false)
							m.d.restart(false)
						}
						for _, left := range []int{call, rng.IntN(callsOfARun)} {
							m.d.left, m.d.how = left, test.how
							err := m.life(call%2 == 1)
							if m.d.fired && err == nil {
								t.Fatal("a call failed, but not the run")
							}
							if m.d.late > 0 {
								t.Fatalf("%d writes and syncs after a sync that failed", m.d.late)
							}
							m.d.restart(test.power)
						}
						m.check()
					})
				}
			})
		}
	}
}
