package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
)

// Recovered is what earlier runs have left.
type Recovered struct {
	Spent      money.Amount // by rows that have ended, and reserved by those in doubt
	Changed    int          // rows whose line in the input is no longer the one that was sent
	Foreign    int          // results of rows that are not in the input
	Generation int

	Reserved map[uint64]money.Amount // by the rows in doubt; those with none are left out
}

// recovery reads the files of earlier runs into a Table.
type recovery struct {
	Recovered
	s        *Store
	t        *Table
	key      Key
	reserved []money.Amount // of each row of the Table; nil if no mark has a cost
	changed  []bool         // the same; nil if no row has changed
}

// Key returns the key of the batch's hashes, from the journal's first line. A new journal gets one
// from Recover.
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
		return key, s.failed(fmt.Errorf("%s: damaged at byte 0: this is not a journal of a batch",
			s.journal.Name()))
	}
	s.fresh = true
	return newKey(), nil
}

// Recover sets the states of the rows in t, and cuts off what a crash has torn. It changes no file
// that is damaged, or was here before the journal.
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
	// The journal may have exchanged the errors.
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

// writeKey begins the journal.
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

// mark takes in a line of the journal. The row of an S without an R behind it is in doubt, unless
// its line is found later.
func (r *recovery) mark(line []byte) error {
	m, ok := parseMark(line)
	if !ok {
		return errors.New("the mark's checksum is wrong")
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

// result takes in a line of the results or the errors. An error that a provider's batch API has
// left among its results, such as that a row has expired, is none: the row is sent.
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
		return fmt.Errorf("a second line of %q", o.ID)
	}
	r.t.Set(i, state)
	return nil
}
