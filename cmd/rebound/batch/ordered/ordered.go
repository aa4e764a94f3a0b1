// Package ordered writes the lines of a batch in the order of its input.
package ordered

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/rebound-go/rebound/cmd/rebound/batch/lines"
	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
)

// Batch is a batch in which every row has ended.
type Batch struct {
	Input *rows.Input
	Table *store.Table // of its rows
	Key   store.Key
	Path  string // of the results; the errors are beside it
}

// Write writes the lines of the results and the errors to a file, in the order of the input. In
// memory it keeps the offsets of the lines, but not the lines.
func (b Batch) Write(path string) error {
	places := make([]int64, b.Table.Len()) // offset + 1 of each row's line; negative in the errors
	files := [2]*os.File{}
	for i, name := range []string{b.Path, b.Path + ".errors"} {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		files[i] = f
		sign := int64(1 - 2*i)
		if err := b.eachLine(f, func(at int64, row int) { places[row] = sign * (at + 1) }); err != nil {
			return err
		}
	}
	if linked, err := filepath.EvalSymlinks(path); err == nil {
		path = linked // the link stays
	}
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	out, result := bufio.NewWriterSize(temp, 1<<20), lines.NewShort(nil, lines.MaxResult)
	err = b.Input.Scan(func(_ int, r rows.Row, err error) error {
		i, known := b.Table.Find(b.Key.Hash(r.ID))
		if err != nil || !known || places[i] == 0 {
			return err
		}
		from, at := files[0], places[i]
		if at < 0 {
			from, at = files[1], -at
		}
		result.Reset(io.NewSectionReader(from, at-1, lines.MaxResult))
		line, err := result.Read()
		if err != nil {
			return err
		}
		_, err = out.Write(line)
		return err
	})
	err = errors.Join(err, out.Flush(), temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// eachLine calls fn with the offset of each line, and the index of its row in the table.
func (b Batch) eachLine(f io.Reader, fn func(at int64, row int)) error {
	l := lines.New(f, lines.MaxResult)
	for {
		line, err := l.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		o, err := results.Read(line[:len(line)-1])
		if err != nil {
			return err
		}
		if i, known := b.Table.Find(b.Key.Hash(o.ID)); known {
			fn(l.At(), i)
		}
	}
}
