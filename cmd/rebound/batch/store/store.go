package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// file is what the Store asks of an *os.File. Tests put failures between its calls.
type file interface {
	io.ReadWriteSeeker
	io.ReaderAt
	Truncate(size int64) error
	Sync() error
	Close() error
	Name() string
}

// Store keeps what a batch has done, in three files: results, errors, and a journal of the rows
// that were sent. A row is done when its line, newline included, is in the results or the errors.
// So the journal need only hold what those cannot: which rows were on their way.
//
// One goroutine writes, all that has gathered at a time. Results come before marks, so that a row
// which has a result is not in doubt.
type Store struct {
	path                     string
	results, errors, journal file
	power                    bool // the journal survives a power cut
	lock                     func() error

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
	synced    time.Time // of the results; only the writing goroutine uses it
}

// resultsSync is how much of the results a power cut may take. Their rows are in doubt then, and
// counted.
const resultsSync = 100 * time.Millisecond

// Open opens or creates the files and locks the journal. It reads nothing.
func Open(path string, power bool) (*Store, error) {
	s := &Store{path: path, power: power}
	s.work, s.written = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	journal, err := openFile(path + ".journal")
	if err != nil {
		return nil, err
	}
	if err := lockFile(journal); err != nil {
		_ = journal.Close()
		return nil, fmt.Errorf("%s: another process runs this batch", path)
	}
	s.journal = journal
	for _, f := range []struct {
		file *file
		path string
	}{{&s.results, path}, {&s.errors, path + ".errors"}} {
		opened, err := openFile(f.path)
		if err != nil {
			_ = s.closeFiles()
			return nil, err
		}
		*f.file = opened
	}
	return s, nil
}

func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

// begin starts the writing goroutine. The files' offsets are at their ends.
func (s *Store) Begin() {
	s.ended = make(chan struct{})
	go s.write()
}

// start writes the mark of a row. It returns when the row may be sent.
func (s *Store) Start(row Row, cost money.Amount) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bufJ = mark{kind: 'S', row: row, cost: cost}.append(s.bufJ)
	mine := s.filling
	s.work.Signal()
	for s.safe <= mine && s.err == nil {
		s.written.Wait()
	}
	return s.err
}

// giveBack writes the mark of a row that the server certainly has not acted on.
func (s *Store) GiveBack(row Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bufJ = mark{kind: 'R', row: row}.append(s.bufJ)
	s.work.Signal()
}

// finish writes a row's line, to the results or to the errors. It does not wait: a row whose line
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

const maxGathered = 8 << 20 // bytes

// write writes until the Store is closed or a call fails. After a failed sync nothing is known
// about what is on the disk, so it is never tried again.
func (s *Store) write() {
	defer close(s.ended)
	var r, e, j []byte
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil {
		for len(s.bufR)+len(s.bufE)+len(s.bufJ) == 0 {
			if s.closed {
				return
			}
			s.work.Wait()
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
	if !s.power {
		return nil
	}
	if len(j) > 0 {
		if err := s.journal.Sync(); err != nil {
			return fmt.Errorf("syncing %s: %w", s.journal.Name(), err)
		}
	}
	if now := time.Now(); now.Sub(s.synced) > resultsSync {
		s.synced = now
		return s.syncResults()
	}
	return nil
}

func (s *Store) syncResults() error {
	for _, f := range []file{s.results, s.errors} {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("syncing %s: %w", f.Name(), err)
		}
	}
	return nil
}

// unwritten is how many rows' lines have gathered and are not written yet.
func (s *Store) Unwritten() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finishing
}

// close writes what has gathered, syncs and closes. The error is the first of all.
func (s *Store) Close() error {
	if s.ended != nil {
		s.mu.Lock()
		s.closed = true
		s.work.Signal()
		s.mu.Unlock()
		<-s.ended
	}
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
