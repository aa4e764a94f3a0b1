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

// Store keeps what a batch has done, in three files: results, errors, and a journal of the rows
// that were sent. A row is done when its line, newline included, is in the results or the errors.
// So the journal need only hold what those cannot: which rows were on their way.
//
// One goroutine writes, all that has gathered at a time. Results come before marks, so that a row
// which has a result is not in doubt.
type Store struct {
	disk                     disk
	path                     string
	results, errors, journal file
	power                    bool // the journal survives a power cut
	fresh                    bool // the journal has no key yet

	mu        sync.Mutex
	work      *sync.Cond // there is something to write
	written   *sync.Cond // something was written
	bufR      []byte
	bufE      []byte
	bufJ      []byte
	filling   uint64 // the cycle that gathers now
	safe      uint64 // cycles below are written
	finishing int    // rows whose lines are gathered and not written
	closed    bool
	err       error
	ended     chan struct{}
	durable   atomic.Int64 // bytes of the results of this run

	// Only the writing goroutine uses these.
	dirty  bool      // results were written since they were synced
	synced time.Time // when the results were
	size   int64     // of the results of this run
	armed  bool      // a timer will wake it; also the timer uses it, under mu
}

// resultsSync is how much of the results a power cut may take. Their rows are in doubt then, and
// counted.
const resultsSync = 100 * time.Millisecond

// Open opens or creates the files and locks the journal. It reads nothing.
func Open(path string, power bool) (*Store, error) { return openOn(osDisk{}, path, power) }

func openOn(d disk, path string, power bool) (s *Store, err error) {
	s = &Store{disk: d, path: path, power: power}
	s.work, s.written = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	if s.journal, err = d.open(path + ".journal"); err != nil {
		return nil, err
	}
	if err := d.lock(s.journal); err != nil {
		_ = s.closeFiles()
		return nil, fmt.Errorf("%s: another process runs this batch", path)
	}
	if s.results, err = d.open(path); err == nil {
		s.errors, err = d.open(path + ".errors")
	}
	if err != nil {
		_ = s.closeFiles()
		return nil, err
	}
	return s, nil
}

// failed keeps an error, so that nothing is written or synced after it.
func (s *Store) failed(err error) error {
	if err != nil && s.err == nil {
		s.err = err
	}
	return err
}

// Begin starts the writing goroutine. The files' offsets are at their ends.
func (s *Store) Begin() {
	s.ended = make(chan struct{})
	go s.write()
}

// Start writes the mark of a row. It returns when the row may be sent.
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

// GiveBack writes the mark of a row that the server certainly has not acted on.
func (s *Store) GiveBack(row Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bufJ = mark{kind: 'R', row: row}.append(s.bufJ)
	s.work.Signal()
}

// Finish writes a row's line, to the results or to the errors. It does not wait: a row whose line
// is lost is in doubt. It waits only if so much has gathered that memory would grow.
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

// Durable is how many bytes of this run's results a crash, or a power cut, leaves.
func (s *Store) Durable() int64 { return s.durable.Load() }

const maxGathered = 8 << 20 // bytes

// write writes until the Store is closed or a call fails. After a failed sync nothing is known
// about what is on the disk, so it is never tried again.
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
			// Rows that are about to end or to be sent take part, so that there are fewer writes.
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

// due reports whether results have waited long enough for a sync.
func (s *Store) due() bool { return s.dirty && time.Since(s.synced) >= resultsSync }

// arm has a timer wake the writing goroutine when results are due, if nothing else does before.
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

// Unwritten is how many rows' lines have gathered and are not written yet.
func (s *Store) Unwritten() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finishing
}

// Close writes what has gathered, syncs and closes. The error is the first of all.
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
