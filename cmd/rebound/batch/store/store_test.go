package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
)

// opened is a store on a disk, with n rows, that has begun.
func opened(t testing.TB, d disk, path string, power bool, rows int) (*Store, *Table, Key) {
	t.Helper()
	s, err := openOn(d, path, power)
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.Key()
	if err != nil {
		t.Fatal(err)
	}
	table := NewTable(rows)
	for i := range rows {
		table.Add(Row{ID: key.Hash(rowID(i))})
	}
	table.Complete()
	if _, err := s.Recover(table, key); err != nil {
		t.Fatal(err)
	}
	s.Begin()
	return s, table, key
}

func rowID(i int) string { return fmt.Sprintf("r-%d", i) }

func rowLine(i int) []byte {
	return fmt.Appendf(nil, `{"custom_id":%q,"id":"rebound-1","response":{},"rebound":{}}`+"\n",
		rowID(i))
}

// Many goroutines start, return and finish rows. Recovery gets their last state.
func TestManyAtATime(t *testing.T) {
	for _, power := range []bool{false, true} {
		const rows, workers = 2000, 50
		path := filepath.Join(t.TempDir(), "out")
		s, _, key := opened(t, osDisk{}, path, power, rows)
		var model [rows]State
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(w), 1))
				for i := w; i < rows; i += workers {
					k := Row{ID: key.Hash(rowID(i))}
					for model[i] == Pending && rng.IntN(10) > 0 {
						if err := s.Start(k, 0); err != nil {
							t.Error(err)
						}
						switch model[i] = State(rng.IntN(4)); model[i] {
						case Pending:
							s.GiveBack(k)
						case Done, Failed:
							if err := s.Finish(rowLine(i), model[i] == Failed); err != nil {
								t.Error(err)
							}
						}
					}
				}
			})
		}
		all.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := s.Unwritten(); n != 0 {
			t.Errorf("%d rows are not written after the end", n)
		}
		again, table, key := opened(t, osDisk{}, path, power, rows)
		for i, want := range model {
			place, _ := table.Find(key.Hash(rowID(i)))
			if got := table.State(place); got != want {
				t.Errorf("%s is %d, want %d", rowID(i), got, want)
			}
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// When Start has returned, a power cut leaves the mark; in 100 ms it leaves the result.
func TestWhatAPowerCutLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSimDisk(rand.New(rand.NewPCG(1, 2)))
		s, _, key := opened(t, d, "out", true, 3)
		for i := range 3 {
			if err := s.Start(Row{ID: key.Hash(rowID(i))}, 0); err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(d.names["out.journal"].synced, []byte("\nS ")); n != i+1 {
				t.Fatalf("%d marks are on the disk, want %d", n, i+1)
			}
			if err := s.Finish(rowLine(i), i == 2); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := s.Unwritten(); n != 0 {
				t.Errorf("%d rows are not written", n)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(resultsSync)
		synctest.Wait()
		if n := bytes.Count(d.names["out"].synced, []byte("\n")); n != 2 {
			t.Errorf("%d results are on the disk, want 2", n)
		}
		if n := bytes.Count(d.names["out.errors"].synced, []byte("\n")); n != 1 {
			t.Errorf("%d errors are on the disk, want 1", n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A failure is returned to all waiting callers, and to all later ones.
func TestFailureEndsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSimDisk(rand.New(rand.NewPCG(1, 2)))
		s, _, key := opened(t, d, "out", true, 10)
		d.left, d.how = 0, fills
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				if err := s.Start(Row{ID: key.Hash(rowID(i))}, 0); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("Start returned %v", err)
				}
			})
		}
		all.Wait()
		big := bytes.Repeat([]byte("x"), maxGathered+1)
		for range 2 { // more than is collected without waiting
			if err := s.Finish(big, false); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("Finish returned %v", err)
			}
		}
		if err := s.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Close returned %v", err)
		}
	})
}

// Finish waits if much is unwritten, and only until that is written.
func TestFinishWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	s, _, _ := opened(t, osDisk{}, path, false, 20)
	for i := range 20 {
		line := rowLine(i)
		line = slices.Insert(line, len(line)-2, bytes.Repeat([]byte(" "), maxGathered/4)...)
		if err := s.Finish(line, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, table, _ := opened(t, osDisk{}, path, false, 20)
	defer again.Close()
	if n := table.Count()[Done]; n != 20 {
		t.Errorf("%d rows are done, want 20", n)
	}
}

// A retry sends the chosen rows again, and their costs stay spent.
func TestRetry(t *testing.T) {
	d := newSimDisk(rand.New(rand.NewPCG(1, 2)))
	d.names["out"] = &simNode{data: []byte(openAI + "\n")}
	held := `{"custom_id":"c","id":"rebound-3","response":null,` +
		`"rebound":{"cost":3,"stopped":"in doubt"}}`
	d.names["out.errors"] = &simNode{data: []byte(lineB + "\n" + held + "\n")}
	for generation, test := range []struct {
		again  func(results.Ending) bool
		taken  int
		states string
	}{
		{func(results.Ending) bool { return false }, 0, "DFF"},
		{func(e results.Ending) bool { return e.Stopped == "in doubt" }, 1, "DFp"},
		{func(e results.Ending) bool { return true }, 1, "Dpp"},
	} {
		s, err := openOn(d, "out", true)
		if err != nil {
			t.Fatal(err)
		}
		key, _ := s.Key()
		table := NewTable(3)
		for _, id := range []string{"a", "b", "c"} {
			table.Add(Row{ID: key.Hash(id), Digest: 7})
		}
		table.Complete()
		if _, err := s.Recover(table, key); err != nil {
			t.Fatal(err)
		}
		n, err := s.Retry(table, key, generation, test.again)
		if n != test.taken || err != nil {
			t.Errorf("generation %d: got %d, %v, want %d", generation, n, err, test.taken)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		got, r, err := states(t, d, "out")
		if got != test.states || err != nil {
			t.Errorf("generation %d: got %s, %v, want %s", generation, got, err, test.states)
		}
		if generation > 0 && (r.Generation != generation || r.Spent != 3e9) {
			t.Errorf("generation %d: got %+v, want $3 spent", generation, r)
		}
	}
	for _, name := range []string{"out.errors.1", "out.errors.2"} {
		if d.names[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if d.names["out.errors.0.new"] != nil {
		t.Error("a retry of no row has left a file")
	}
}
