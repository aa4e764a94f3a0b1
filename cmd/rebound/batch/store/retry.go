package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
)

// A new generation makes rows of the errors pending again. It has four steps. After a crash before
// step 2, no generation has begun. After a later crash, the next run does the rest:
//
//  1. FILE.errors.N.new gets the lines that stay errors. The journal gets an R for each other row.
//  2. The journal gets the mark G N.
//  3. FILE.errors becomes FILE.errors.N.
//  4. FILE.errors.N.new becomes FILE.errors.

// Retry begins a new generation: each row whose error again accepts becomes pending. It returns how
// many rows these are. If there are none, no generation begins.
func (s *Store) Retry(
	t *Table, key Key, generation int, again func(results.Ending) bool,
) (int, error) {
	old, next := s.generationFiles(generation)
	taken, cost, err := s.divide(next, t, key, again)
	if err != nil || taken == 0 {
		return 0, s.failed(errors.Join(err, s.disk.remove(next)))
	}
	if err := s.disk.syncDir(next); err != nil {
		return 0, s.failed(err)
	}
	ended := mark{kind: 'G', generation: generation, cost: cost}
	if _, err := s.journal.Write(ended.append(nil)); err != nil {
		return 0, s.failed(err)
	}
	if err := s.journal.Sync(); err != nil {
		return 0, s.failed(err)
	}
	return taken, s.failed(s.rename(old, next))
}

// Foresee sets the states in t as Retry would, but changes no file.
func (s *Store) Foresee(t *Table, key Key, again func(results.Ending) bool) error {
	return s.failed(s.eachError(t, key, again, func([]byte, *Row, money.Amount) error { return nil }))
}

// eachError calls fn with each line of the errors. A row that again accepts becomes pending, and fn
// also gets the row and its cost. For other lines the row is nil.
func (s *Store) eachError(
	t *Table, key Key, again func(results.Ending) bool, fn func([]byte, *Row, money.Amount) error,
) error {
	return replay(s.errors, resultLines, true, func(line []byte) error {
		o, err := results.Read(line)
		if err != nil {
			return err
		}
		i, known := t.Find(key.Hash(o.ID))
		if !known || !again(o.End) {
			return fn(line, nil, 0)
		}
		t.Set(i, Pending)
		return fn(line, &Row{ID: t.ids[i]}, o.End.Amount())
	})
}

// divide does step 1.
func (s *Store) divide(
	next string, t *Table, key Key, again func(results.Ending) bool,
) (taken int, cost money.Amount, err error) {
	kept, err := s.disk.open(next)
	if err != nil {
		return 0, 0, err
	}
	if err := cut(kept, 0); err != nil {
		return 0, 0, errors.Join(err, kept.Close())
	}
	keep, back := bufio.NewWriter(kept), bufio.NewWriter(s.journal)
	err = s.eachError(t, key, again, func(line []byte, row *Row, spent money.Amount) error {
		if row != nil {
			taken++
			cost += spent
			_, err := back.Write(mark{kind: 'R', row: *row}.append(nil))
			return err
		}
		_, _ = keep.Write(line)
		return keep.WriteByte('\n')
	})
	err = errors.Join(err, keep.Flush(), back.Flush())
	if err == nil {
		err = kept.Sync()
	}
	return taken, cost, errors.Join(err, kept.Close())
}

func (s *Store) generationFiles(n int) (old, next string) {
	old = fmt.Sprintf("%s.errors.%d", s.path, n)
	return old, old + ".new"
}

// rename does steps 3 and 4, or those of them that are left.
func (s *Store) rename(old, next string) error {
	if is, err := s.disk.exists(next); err != nil || !is {
		return err
	}
	// Windows cannot rename an open file.
	if err := s.errors.Close(); err != nil {
		return err
	}
	s.errors = nil
	is, err := s.disk.exists(old)
	if err == nil && !is {
		err = s.disk.rename(s.path+".errors", old)
	}
	if err == nil {
		err = s.disk.rename(next, s.path+".errors")
	}
	if err != nil {
		return err
	}
	if s.errors, err = s.disk.open(s.path + ".errors"); err != nil {
		return err
	}
	if _, err := s.errors.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	return s.disk.syncDir(s.path)
}
