package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/rebound-go/rebound/cmd/rebound/batch/lines"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// Recovered is what earlier runs have left.
type Recovered struct {
	Spent      money.Amount // by rows that have ended, and reserved by those in doubt
	Changed    int          // rows whose line in the input is no longer the one that was sent
	Foreign    int          // results of rows that are not in the input
	Generation int
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

const idPrefix = `{"custom_id":"`

// readKey returns the key of the batch's hashes, from the journal's first line. A new journal gets
// one.
func (s *Store) Key() (key Key, err error) {
	var head [64]byte
	n, _ := s.journal.ReadAt(head[:], 0)
	line, _, whole := bytes.Cut(head[:n], []byte("\n"))
	if m, ok := parseMark(line); whole && ok && m.kind == 'B' {
		return m.key, nil
	}
	if whole || n == len(head) || !torn(head[:n], []string{"B "}) {
		return key, fmt.Errorf("%s: damaged at byte 0: this is no journal of a batch",
			s.journal.Name())
	}
	key = newKey()
	if err := s.journal.Truncate(0); err != nil {
		return key, err
	}
	if _, err := s.journal.Write(mark{kind: 'B', key: key}.append(nil)); err != nil {
		return key, err
	}
	return key, s.journal.Sync()
}

// recover sets the states of the rows in t, and cuts off what a crash has torn.
func (s *Store) Recover(t *Table, key Key) (Recovered, error) {
	r := recovery{s: s, t: t, key: key}
	if err := replay(s.journal, []string{"B ", "S ", "R ", "G "}, r.mark); err != nil {
		return r.Recovered, err
	}
	for _, f := range []struct {
		file  file
		state State
	}{{s.results, Done}, {s.errors, Failed}} {
		err := replay(f.file, []string{idPrefix}, func(line []byte) error {
			return r.result(line, f.state)
		})
		if err != nil {
			return r.Recovered, err
		}
	}
	for i := range t.ids {
		if r.reserved != nil && t.State(i) == InDoubt {
			r.Spent += r.reserved[i]
		}
		if r.changed != nil && r.changed[i] {
			r.Recovered.Changed++
		}
	}
	return r.Recovered, nil
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
		return r.generationEnded(m.generation)
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

// result takes in a line of the results or the errors.
func (r *recovery) result(line []byte, state State) error {
	id, err := IDOf(line)
	if err != nil {
		return err
	}
	r.Spent += endingOf(line).cost()
	i, known := r.t.Find(r.key.Hash(id))
	if !known {
		r.Foreign++
		return nil
	}
	if before := r.t.State(i); before == Done || before == Failed {
		return fmt.Errorf("a second line of %q", id)
	}
	r.t.Set(i, state)
	return nil
}

// IDOf returns the custom_id of a line. It comes first in ours; in those that a provider's batch
// API has left, it is anywhere.
func IDOf(line []byte) (id string, err error) {
	if rest, ok := bytes.CutPrefix(line, []byte(idPrefix)); ok && line[len(line)-1] == '}' {
		if end := bytes.IndexByte(rest, '"'); end >= 0 && !bytes.ContainsRune(rest[:end], '\\') {
			return string(rest[:end]), nil
		}
	}
	var r struct {
		ID *string `json:"custom_id"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return "", fmt.Errorf("this is no line of a batch: %w", err)
	}
	if r.ID == nil {
		return "", errors.New("this is no line of a batch: it has no custom_id")
	}
	return *r.ID, nil
}

// Ending is what a line's last field holds: {…,"rebound":{…}}.
type Ending struct {
	Attempts int     `json:"attempts"`
	Cost     float64 `json:"cost"` // in dollars
	Stopped  string  `json:"stopped"`
}

func (e Ending) cost() money.Amount { return money.Dollars(e.Cost) }

// endingOf reads the end of a line; the zero ending if it is none of ours.
func endingOf(line []byte) (e Ending) {
	if i := bytes.LastIndex(line, []byte(`"rebound":{`)); i >= 0 {
		_ = json.Unmarshal(line[i+len(`"rebound":`):len(line)-1], &e)
	}
	return e
}

// A new generation takes up rows of the errors again. What happens in turn, so that a crash between
// any two steps is completed by the next run:
//
//  1. FILE.errors.N.new gets the lines that stay errors.
//  2. The journal gets the mark G N.
//  3. FILE.errors becomes FILE.errors.N.
//  4. FILE.errors.N.new becomes FILE.errors.

// retry begins a new generation. Of the errors those whose line again accepts are taken up.
func (s *Store) Retry(t *Table, key Key, generation int, again func(Ending) bool) (int, error) {
	old, next := s.generationFiles(generation)
	kept, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	taken, cost := 0, money.Amount(0)
	err = replay(s.errors, []string{idPrefix}, func(line []byte) error {
		id, err := IDOf(line)
		if err != nil {
			return err
		}
		end := endingOf(line)
		if i, known := t.Find(key.Hash(id)); known && again(end) {
			taken++
			cost += end.cost()
			t.Set(i, Pending)
			return nil
		}
		_, err = kept.Write(append(line[:len(line):len(line)], '\n'))
		return err
	})
	err = errors.Join(err, kept.Sync(), kept.Close())
	if err != nil || taken == 0 {
		_ = os.Remove(next)
		return 0, err
	}
	ended := mark{kind: 'G', generation: generation, cost: cost}
	if _, err := s.journal.Write(ended.append(nil)); err != nil {
		return 0, err
	}
	if err := s.journal.Sync(); err != nil {
		return 0, err
	}
	return taken, s.rename(old, next)
}

func (s *Store) generationFiles(n int) (old, next string) {
	old = fmt.Sprintf("%s.errors.%d", s.path, n)
	return old, old + ".new"
}

// rename takes the third and the fourth step, or what is left of them.
func (s *Store) rename(old, next string) error {
	if _, err := os.Stat(next); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := s.errors.Close(); err != nil {
		return err
	}
	if _, err := os.Stat(old); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(s.path+".errors", old); err != nil {
			return err
		}
	}
	if err := os.Rename(next, s.path+".errors"); err != nil {
		return err
	}
	opened, err := openFile(s.path + ".errors")
	if err != nil {
		return err
	}
	s.errors = opened
	_, err = opened.Seek(0, 2)
	return errors.Join(err, syncDir(s.path))
}

// generationEnded takes in the mark of a generation: the rows that were errors until then are not
// in doubt any more.
func (r *recovery) generationEnded(n int) error {
	old, next := r.s.generationFiles(n)
	if err := r.s.rename(old, next); err != nil {
		return err
	}
	f, err := os.Open(old)
	if err != nil {
		return err
	}
	defer f.Close()
	l := lines.New(f)
	for {
		line, err := l.Read()
		if err != nil {
			return nil
		}
		id, err := IDOf(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return fmt.Errorf("%s: at byte %d: %w", old, l.At(), err)
		}
		if i, known := r.t.Find(r.key.Hash(id)); known {
			r.t.Set(i, Pending)
		}
	}
}
