package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
)

// Recovered is the state that earlier runs left.
type Recovered struct {
	Spent      money.Amount // the cost of rows that have ended, and the reserved cost of rows in doubt
	Changed    int          // rows whose line in the input differs from the one that was sent
	Foreign    int          // lines of rows that are not in the input
	Generation int

	Reserved map[uint64]money.Amount // the reserved cost of each row in doubt; empty if no row has one
}

// recovery reads the files of earlier runs, and sets the states in a Table.
type recovery struct {
	Recovered
	s        *Store
	t        *Table
	key      Key
	reserved []money.Amount // by index in the Table; nil if no mark has a cost
	changed  []bool         // by index in the Table; nil if no row has changed
}

// Key returns the key of the batch's hashes, from the first line of the journal. If the journal is
// new, the key is too, and Recover writes it.
func (s *Store) Key() (key Key, err error) {
	var head [64]byte
	n, err := s.journal.ReadAt(head[:], 0)
	if n < len(head) && err != io.EOF {
		return key, s.failed(err)
	}
	line, _, whole := bytes.Cut(head[:n], []byte("\n"))
	if m, ok := parseMark(line); whole && ok && m.kind == 'B' {
		return m.key, nil
	}
	if whole || n == len(head) || !zeros(line) && (line[0] != 'B' || !tornMark(line)) {
		return key, s.failed(fmt.Errorf("%s: damaged at byte 0: want the journal of a batch",
			s.journal.Name()))
	}
	s.fresh = true
	return newKey(), nil
}

// Recover sets the states of the rows in t. It cuts off a last line that a crash left incomplete.
// It cuts off nothing if the journal is new, because the results may be another program's. A
// damaged file is an error, and is not changed.
func (s *Store) Recover(t *Table, key Key) (Recovered, error) {
	r := recovery{s: s, t: t, key: key}
	err := r.replay()
	if err == nil && s.fresh {
		err = s.writeKey(key)
	}
	r.Reserved = map[uint64]money.Amount{}
	for i := range t.ids {
		if r.reserved != nil && t.State(i) == InDoubt {
			r.Spent += r.reserved[i]
			r.Reserved[t.ids[i]] = r.reserved[i]
		}
		if r.changed != nil && r.changed[i] {
			r.Recovered.Changed++
		}
	}
	return r.Recovered, s.failed(err)
}

func (r *recovery) replay() error {
	if !r.s.fresh {
		if err := replay(r.s.journal, marks, true, r.mark); err != nil {
			return err
		}
	}
	// These are read from r.s only now: the journal's replay may have replaced the errors.
	for _, f := range []struct {
		file  file
		state State
	}{{r.s.results, Done}, {r.s.errors, Failed}} {
		err := replay(f.file, resultLines, !r.s.fresh, func(line []byte) error {
			return r.result(line, f.state)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeKey writes the first line of the journal.
func (s *Store) writeKey(key Key) error {
	if err := cut(s.journal, 0); err != nil {
		return err
	}
	if _, err := s.journal.Write(mark{kind: 'B', key: key}.append(nil)); err != nil {
		return err
	}
	if err := s.journal.Sync(); err != nil {
		return err
	}
	s.fresh = false
	return s.disk.syncDir(s.path)
}

// mark reads a line of the journal. A row with an S and no later R is in doubt, unless result finds
// its line.
func (r *recovery) mark(line []byte) error {
	m, ok := parseMark(line)
	if !ok {
		return errors.New("the checksum of this line is wrong")
	}
	if m.kind == 'G' {
		r.Generation = m.generation
		r.Spent += m.cost
		return r.s.rename(r.s.generationFiles(m.generation))
	}
	i, known := r.t.Find(m.row.ID)
	switch {
	case !known:
	case m.kind == 'R':
		r.t.Set(i, Pending)
	case m.kind == 'S':
		r.t.Set(i, InDoubt)
		if m.cost != 0 && r.reserved == nil {
			r.reserved = make([]money.Amount, len(r.t.ids))
		}
		if r.reserved != nil {
			r.reserved[i] = m.cost
		}
		changed := m.row.Digest != r.t.digests[i]
		if changed && r.changed == nil {
			r.changed = make([]bool, len(r.t.ids))
		}
		if r.changed != nil {
			r.changed[i] = changed
		}
	}
	return nil
}

// result reads a line of the results or the errors. A provider's batch API writes some errors among
// its results, for example for expired rows. Such a row stays pending.
func (r *recovery) result(line []byte, state State) error {
	o, err := results.Read(line)
	if err != nil {
		return err
	}
	r.Spent += o.End.Amount()
	i, known := r.t.Find(r.key.Hash(o.ID))
	switch {
	case !known:
		r.Foreign++
		return nil
	case state == Done && !o.Good:
		return nil
	}
	if before := r.t.State(i); before == Done || before == Failed {
		return fmt.Errorf("this is a second line of %q: want one for each row", o.ID)
	}
	r.t.Set(i, state)
	return nil
}
