package store

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// Store keeps the state of a batch in three files: the results, the errors, and a journal. A row
// has ended when its line, with its newline, is in the results or the errors. So the journal
// records only which rows were sent.
//
// One goroutine writes. Each cycle writes all that has gathered, the results first: a crash before
// their write would leave their rows in doubt.
type Store struct {
	disk                     disk
	path                     string
	results, errors, journal file
	power                    bool // the journal must survive a power cut
	fresh                    bool // the journal has no key yet

	mu        sync.Mutex
	work      *sync.Cond // signals that there is something to write
	written   *sync.Cond // signals that a cycle was written
	bufR      []byte     // for the results
	bufE      []byte     // for the errors
	bufJ      []byte     // for the journal
	filling   uint64     // the cycle that gathers
	safe      uint64     // cycles below this one are written
	finishing int        // rows whose lines have gathered and are not written
	closed    bool
	err       error
	ended     chan struct{}
	durable   atomic.Int64 // see Durable

	// Only the writing goroutine uses these.
	dirty  bool      // results or errors were written since the last sync
	synced time.Time // the last sync of the results
	size   int64     // bytes that this run wrote to the results
	armed  bool      // a timer will wake the goroutine; the timer resets it, under mu
}

// resultsSync is the time between syncs of the results. A power cut may lose the results of this
// time. Their rows are then in doubt.
const resultsSync = 100 * time.Millisecond

// Open opens or creates the files, and locks the journal and the results, which a link may name for
// another batch. It does not read them.
func Open(path string, power bool) (*Store, error) { return openOn(osDisk{}, path, power) }

func openOn(d disk, path string, power bool) (s *Store, err error) {
	s = &Store{disk: d, path: path, power: power}
	s.work, s.written = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	for _, f := range []struct {
		file  *file
		name  string
		locks bool
	}{{&s.journal, path + ".journal", true}, {&s.results, path, true},
		{&s.errors, path + ".errors", false}} {
		if *f.file, err = d.open(f.name); err == nil && f.locks && d.lock(*f.file) != nil {
			err = fmt.Errorf("%s: another process is running this batch", path)
		}
		if err != nil {
			_ = s.closeFiles()
			return nil, err
		}
	}
	return s, nil
}

// failed records an error, so that nothing is written or synced afterwards.
func (s *Store) failed(err error) error {
	if err != nil && s.err == nil {
		s.err = err
	}
	return err
}

// Begin starts the goroutine that writes. Recover must have succeeded before.
func (s *Store) Begin() {
	s.ended = make(chan struct{})
	go s.write()
}

// Start writes the mark of a row. After it has returned nil, the row may be sent.
func (s *Store) Start(row Row, cost money.Amount) error {
	var line [maxMark]byte
	text := mark{kind: 'S', row: row, cost: cost}.append(line[:0])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bufJ = append(s.bufJ, text...)
	mine := s.filling
	s.work.Signal()
	for s.safe <= mine && s.err == nil {
		s.written.Wait()
	}
	return s.err
}

// GiveBack writes a mark that makes a row pending again: the server certainly did not act on it.
func (s *Store) GiveBack(row Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bufJ = mark{kind: 'R', row: row}.append(s.bufJ)
	s.work.Signal()
}

// Finish writes the line of a row to the results or the errors. It does not wait for the write,
// because a row whose line is lost is in doubt anyway. It waits only if more than maxGathered bytes
// have gathered.
func (s *Store) Finish(line []byte, failed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.bufR)+len(s.bufE) > maxGathered && s.err == nil {
		s.written.Wait()
	}
	if failed {
		s.bufE = append(s.bufE, line...)
	} else {
		s.bufR = append(s.bufR, line...)
	}
	s.finishing++
	s.work.Signal()
	return s.err
}

// Durable returns how many bytes of this run's results survive a crash, or a power cut if power is
// set.
func (s *Store) Durable() int64 { return s.durable.Load() }

const maxGathered = 8 << 20 // bytes

// write writes until the Store is closed or a call fails. It never repeats a failed sync, because
// afterwards the content of the disk is unknown.
func (s *Store) write() {
	defer close(s.ended)
	var r, e, j []byte
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil {
		for len(s.bufR)+len(s.bufE)+len(s.bufJ) == 0 && !s.due() {
			if s.closed {
				return
			}
			s.arm()
			s.work.Wait()
			// More rows may join this cycle, so that there are fewer writes.
			s.mu.Unlock()
			runtime.Gosched()
			s.mu.Lock()
		}
		r, s.bufR = s.bufR, r[:0]
		e, s.bufE = s.bufE, e[:0]
		j, s.bufJ = s.bufJ, j[:0]
		s.filling++
		upTo, finishing := s.filling, s.finishing
		s.mu.Unlock()
		err := s.writeCycle(r, e, j)
		s.mu.Lock()
		s.finishing -= finishing
		s.err, s.safe = err, upTo
		s.written.Broadcast()
	}
}

func (s *Store) writeCycle(r, e, j []byte) error {
	for _, w := range []struct {
		f file
		b []byte
	}{{s.results, r}, {s.errors, e}, {s.journal, j}} {
		if len(w.b) == 0 {
			continue
		}
		if _, err := w.f.Write(w.b); err != nil {
			return fmt.Errorf("writing %s: %w", w.f.Name(), err)
		}
	}
	s.size += int64(len(r))
	if !s.power {
		s.durable.Store(s.size)
		return nil
	}
	if len(j) > 0 {
		if err := s.journal.Sync(); err != nil {
			return fmt.Errorf("syncing %s: %w", s.journal.Name(), err)
		}
	}
	s.dirty = s.dirty || len(r)+len(e) > 0
	if s.due() {
		return s.syncResults()
	}
	return nil
}

// due reports whether the results must be synced now.
func (s *Store) due() bool { return s.dirty && time.Since(s.synced) >= resultsSync }

// arm sets a timer that wakes the goroutine when the results are due.
func (s *Store) arm() {
	if !s.dirty || s.armed {
		return
	}
	s.armed = true
	time.AfterFunc(resultsSync-time.Since(s.synced), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.armed = false
		s.work.Signal()
	})
}

func (s *Store) syncResults() error {
	for _, f := range []file{s.results, s.errors} {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("syncing %s: %w", f.Name(), err)
		}
	}
	s.dirty, s.synced = false, time.Now()
	s.durable.Store(s.size)
	return nil
}

// Unwritten returns how many lines have gathered and are not written yet.
func (s *Store) Unwritten() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finishing
}

// Close writes what has gathered, and syncs and closes the files. It returns the first error of the
// writes, joined with those of closing.
func (s *Store) Close() error {
	if s.ended == nil {
		return s.closeFiles()
	}
	s.mu.Lock()
	s.closed = true
	s.work.Signal()
	s.mu.Unlock()
	<-s.ended
	err := s.err
	if err == nil {
		err = s.syncResults()
	}
	if err == nil {
		err = s.journal.Sync()
	}
	return errors.Join(err, s.closeFiles())
}

func (s *Store) closeFiles() (err error) {
	for _, f := range []file{s.results, s.errors, s.journal} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
