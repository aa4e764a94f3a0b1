package rows

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/rebound-go/rebound/cmd/rebound/batch/lines"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/cmd/rebound/regular"
)

// Input is the file of rows. It is read once to check it, before the first request, and again to
// send its rows.
type Input struct {
	Name  string // as the user gave it
	Where Targets
	Files Attachments

	file    *os.File
	checked os.FileInfo            // the file when it was checked; nil = not yet
	last    atomic.Pointer[target] // of the last row that was parsed
}

// ErrChanged is returned if the input was changed during the run.
var ErrChanged = errors.New("the input has changed since it was checked")

// Open opens the file in.Name. "-" is standard input. It is first copied to the file spool, because
// an input is read several times.
func (in *Input) Open(stdin io.Reader, spool string) (err error) {
	in.file, err = open(in.Name, stdin, spool)
	return err
}

func open(name string, stdin io.Reader, spool string) (*os.File, error) {
	if name != "-" {
		f, err := regular.Open(name)
		if err != nil {
			return nil, err
		}
		// A pipe cannot be read twice.
		if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
			_ = f.Close()
			return nil, fmt.Errorf("%s is not a regular file: want one, or - for standard input", name)
		}
		return f, nil
	}
	f, err := os.OpenFile(spool, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, stdin); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("copying standard input to %s: %w", spool, err)
	}
	return f, nil
}

// Scan calls fn for each row, until fn returns an error. For an invalid line, fn gets an error.
func (in *Input) Scan(fn func(line int, r Row, err error) error) error {
	return in.ScanBut(nil, fn)
}

// ScanBut is Scan for fast resumption: it skips a line without parsing it if the line begins with
// an id that skip accepts. Other lines are never skipped. A nil skip accepts no id.
func (in *Input) ScanBut(
	skip func(id string) bool, fn func(line int, r Row, err error) error,
) error {
	return in.scan(skip, func(line int, r Row, err error) error {
		r.Body = bytes.Clone(r.Body)
		return fn(line, r, err)
	})
}

// watched reads the file, and returns ErrChanged if the file has changed since it was checked.
type watched struct{ in *Input }

func (w watched) Read(p []byte) (int, error) {
	n, err := w.in.file.Read(p)
	if changed := w.in.unchanged(); changed != nil {
		return 0, changed
	}
	return n, err
}

// scan is ScanBut, but the body of a row is valid only until fn returns.
func (in *Input) scan(
	skip func(id string) bool, fn func(line int, r Row, err error) error,
) error {
	if _, err := in.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l := lines.New(watched{in}, lines.MaxInput)
	for n := 1; ; n++ {
		line, err := l.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", in.Name, n, err)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if skip != nil {
			if id, ok := firstID(line); ok && skip(id) {
				continue
			}
		}
		r, err := in.parse(line)
		r.At, r.Line = l.At(), line
		if err := fn(n, r, err); err != nil {
			return err
		}
	}
}

// firstID returns the id of a line that begins with it. An id with escapes is not accepted.
func firstID(line []byte) (id string, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"custom_id":`))
	rest, quoted := bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte(`"`))
	end := bytes.IndexByte(rest, '"')
	if !ok || !quoted || end < 0 || bytes.IndexByte(rest[:end], '\\') >= 0 ||
		!utf8.Valid(rest[:end]) {
		return "", false
	}
	return string(rest[:end]), true
}

// unchanged returns ErrChanged if the file has changed since it was checked.
func (in *Input) unchanged() error {
	if in.checked == nil {
		return nil
	}
	now, err := in.file.Stat()
	if err == nil && (now.Size() != in.checked.Size() ||
		!now.ModTime().Equal(in.checked.ModTime())) {
		err = ErrChanged
	}
	return err
}

// maxFaults is how many faults of the input are listed.
const maxFaults = 100

// faults lists the errors of the input, one line each.
type faults struct {
	name string
	list []string
	more int
}

func (f *faults) add(line int, err error) {
	if len(f.list) >= maxFaults {
		f.more++
		return
	}
	f.list = append(f.list, fmt.Sprintf("%s:%d: %v", f.name, line, err))
}

// err returns all faults as one error. It returns nil if there are none.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	text := strings.Join(f.list, "\n")
	if f.more > 0 {
		text += fmt.Sprintf("\n%s: %d more errors", f.name, f.more)
	}
	return fmt.Errorf("%s\nnothing was sent", text)
}

// Survey is the result of Check.
type Survey struct {
	Table *store.Table
	Hosts map[string]int // the number of rows by host
}

// Check reads the whole input, before anything is sent. Its error lists the faults of all lines.
func (in *Input) Check(key store.Key) (s Survey, err error) {
	if in.checked, err = in.file.Stat(); err != nil {
		return s, err
	}
	s = Survey{Table: store.NewTable(in.Guess()), Hosts: map[string]int{}}
	bad := &faults{name: in.Name}
	err = in.scan(nil, func(n int, r Row, err error) error {
		if err == nil {
			err = in.Files.check(r)
		}
		if err != nil {
			bad.add(n, err)
			return nil
		}
		r.Key.ID = key.Hash(r.ID)
		s.Table.Add(r.Key)
		s.Hosts[r.Target.Host]++
		return nil
	})
	if err != nil {
		return s, err
	}
	if repeated := s.Table.Complete(); len(repeated) > 0 {
		if err := in.nameRepeated(key, repeated, bad); err != nil {
			return s, err
		}
	}
	if err := bad.err(); err != nil {
		return s, err
	}
	if s.Table.Len() == 0 {
		return s, fmt.Errorf("%s has no rows: want a line for each row", in.Name)
	}
	return s, nil
}

// nameRepeated adds a fault for each row whose id an earlier row has.
func (in *Input) nameRepeated(key store.Key, repeated map[uint64]bool, bad *faults) error {
	first := map[uint64]int{}
	return in.Scan(func(n int, r Row, err error) error {
		if id := key.Hash(r.ID); err == nil && repeated[id] {
			if before, is := first[id]; is {
				bad.add(n, fmt.Errorf("duplicate_custom_id: %q is also in line %d", r.ID, before))
			} else {
				first[id] = n
			}
		}
		return nil
	})
}

// Guess estimates the number of rows from the beginning of the file. The estimate is a little too
// high, because a slice that grows needs its memory twice for a moment.
func (in *Input) Guess() int {
	head := make([]byte, 1<<20)
	n, _ := in.file.ReadAt(head, 0)
	info, err := in.file.Stat()
	lines := bytes.Count(head[:n], []byte("\n"))
	if err != nil || lines == 0 {
		return 0
	}
	return int(float64(info.Size())/float64(n)*float64(lines)*1.02) + 16
}

// Row reads the row at an offset.
func (in *Input) Row(at int64, key store.Key) (Row, error) {
	if err := in.unchanged(); err != nil {
		return Row{}, err
	}
	l := lines.NewShort(io.NewSectionReader(in.file, at, lines.MaxInput+1), lines.MaxInput)
	line, err := l.Read()
	if err != nil {
		return Row{}, err
	}
	r, err := in.parse(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
	if err != nil {
		return r, errors.Join(ErrChanged, err)
	}
	r.Body = bytes.Clone(r.Body) // the body is in the reader's buffer
	r.At, r.Key.ID = at, key.Hash(r.ID)
	return r, nil
}

// Close closes the file.
func (in *Input) Close() error {
	if in.file == nil {
		return nil
	}
	return in.file.Close()
}
