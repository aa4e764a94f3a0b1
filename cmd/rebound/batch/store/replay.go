package store

import (
	"bytes"
	"fmt"
	"io"

	"github.com/rebound-go/rebound/cmd/rebound/batch/lines"
)

// replay gives each whole line of a file of ours to fn, without its newline, and leaves the offset
// at the end. A last line that was cut by a crash is cut off. Any other line that fn rejects is
// damage: replay returns an error and changes nothing, since the file may be somebody else's.
func replay(f file, begins []string, fn func(line []byte) error) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l := lines.New(f)
	for {
		line, err := l.Read()
		switch {
		case err == io.EOF:
			_, err := f.Seek(0, io.SeekEnd)
			return err
		case err != nil:
			return fmt.Errorf("%s: at byte %d: %w", f.Name(), l.At(), err)
		}
		whole, ended := bytes.CutSuffix(line, []byte("\n"))
		if !ended {
			if !torn(line, begins) {
				return fmt.Errorf("%s: damaged at byte %d: this is no line of a batch", f.Name(), l.At())
			}
			if err := f.Truncate(l.At()); err != nil {
				return err
			}
			_, err := f.Seek(l.At(), io.SeekStart)
			return err
		}
		if err := fn(whole); err != nil {
			return fmt.Errorf("%s: damaged at byte %d: %w", f.Name(), l.At(), err)
		}
	}
}

// torn reports whether line is the beginning of a line of ours, or zeros, which file systems leave
// after a power cut.
func torn(line []byte, begins []string) bool {
	for _, b := range begins {
		if n := min(len(b), len(line)); string(line[:n]) == b[:n] {
			return true
		}
	}
	return len(bytes.Trim(line, "\x00")) == 0
}
