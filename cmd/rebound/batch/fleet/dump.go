package fleet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/cmd/rebound/regular"
)

// Dump writes the results of a batch to a file and its errors to FILE.errors, as they are at one
// moment. Each file is replaced as a whole or not at all.
func (d *DB) Dump(ctx context.Context, name, file string) (s Status, err error) {
	b, err := d.find(ctx, name)
	if err != nil {
		return s, err
	}
	var outs [2]*output
	if _, err := os.Stat(file + ".journal"); err == nil && replaceable(file) == nil {
		return s, fmt.Errorf("%s.journal exists, so %[1]s belongs to another batch: want another file",
			file)
	}
	for i, path := range []string{file, file + ".errors"} {
		if err := replaceable(path); err != nil {
			return s, err
		}
		if outs[i], err = create(path); err != nil {
			return s, err
		}
		defer outs[i].discard()
	}
	err = pgx.BeginTxFunc(ctx, d.pool, snapshot, func(tx pgx.Tx) error {
		return eachRow(ctx, tx, `SELECT failed, result.line FROM rebound.result
			JOIN rebound.row ON id = row WHERE batch = $1 ORDER BY row`, func(row pgx.Rows) error {
			var failed bool
			var line []byte
			if err := row.Scan(&failed, &line); err != nil {
				return err
			}
			out := outs[0]
			if failed {
				out = outs[1]
			}
			_, err := out.w.Write(line)
			return err
		}, b.name)
	})
	if err != nil {
		return s, d.own(err)
	}
	for _, out := range outs {
		if err := out.keep(); err != nil {
			return s, err
		}
	}
	return d.Status(ctx, b.name)
}

// queries has the methods that pools and transactions share.
type queries interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// eachRow calls fn for each row of a query. fn scans the row.
func eachRow(
	ctx context.Context, db queries, sql string, fn func(pgx.Rows) error, args ...any,
) error {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// replaceable returns an error if the file exists and is not a dump. A dump must not replace it.
func replaceable(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	line, err := bufio.NewReader(f).ReadSlice('\n')
	if len(line) == 0 && err == io.EOF || bytes.Contains(line, []byte(`,"id":"rebound-`)) {
		return nil
	}
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return err
	}
	return fmt.Errorf("%s exists, and is not a dump: want another file", path)
}

// output is a file that gets its name when it is complete.
type output struct {
	path string
	f    *os.File
	w    *bufio.Writer
}

func create(path string) (*output, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, err
	}
	return &output{path, f, bufio.NewWriterSize(f, 1<<20)}, nil
}

func (o *output) keep() error {
	err := errors.Join(o.w.Flush(), o.f.Sync(), o.f.Close())
	if err == nil {
		err = os.Rename(o.f.Name(), o.path)
	}
	return err
}

func (o *output) discard() {
	_ = o.f.Close()
	_ = os.Remove(o.f.Name())
}
