package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rebound-go/rebound/cmd/rebound/batch/lines"
	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
)

// A kind is what replay knows of the lines of a file.
type kind struct {
	// torn reports whether a text without a newline may be the beginning of a line of ours.
	torn func(line []byte) bool
	// whole reports whether such a text has all of a line but the newline.
	whole func(line []byte) bool
}

var (
	// A mark that is not whole was not waited for to its end: its row was not sent.
	marks       = kind{tornMark, func([]byte) bool { return false }}
	resultLines = kind{results.Torn, json.Valid}
)

// replay gives each line of a file to fn, without its newline, and leaves the offset at the end. A
// last line that a crash has torn is cut off, if mayCut; one that lacks just its newline gets it.
// Any other line that fn rejects is damage: replay returns an error and changes nothing, since the
// file may belong to another program.
func replay(f file, k kind, mayCut bool, fn func(line []byte) error) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l := lines.New(f, lines.MaxResult)
	for {
		line, err := l.Read()
		switch {
		case err == io.EOF:
			_, err := f.Seek(0, io.SeekEnd)
			return err
		case err != nil:
			return fmt.Errorf("%s: at byte %d: %w", f.Name(), l.At(), err)
		}
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		if !ended && !k.whole(line) {
			if !mayCut || !zeros(line) && !k.torn(line) {
				return fmt.Errorf("%s: damaged at byte %d: this is not a line of a batch", f.Name(), l.At())
			}
			return cut(f, l.At())
		}
		if err := fn(text); err != nil {
			return fmt.Errorf("%s: damaged at byte %d: %w", f.Name(), l.At(), err)
		}
		if !ended {
			if _, err := f.Seek(0, io.SeekEnd); err != nil {
				return err
			}
			_, err := f.Write([]byte("\n"))
			return err
		}
	}
}

func cut(f file, at int64) error {
	if err := f.Truncate(at); err != nil {
		return err
	}
	_, err := f.Seek(at, io.SeekStart)
	return err
}

// zeros are what file systems leave of a write after a power cut.
func zeros(line []byte) bool { return len(bytes.Trim(line, "\x00")) == 0 }

// tornMark accepts the characters of marks, and zeros behind them.
func tornMark(line []byte) bool {
	text := string(bytes.TrimRight(line, "\x00"))
	return len(text) < maxMark && strings.ContainsRune("BSRG", rune(text[0])) &&
		strings.Trim(text[1:], " -0123456789abcdef") == ""
}
