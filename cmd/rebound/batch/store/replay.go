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

// A kind is a kind of file, and describes its lines for replay.
type kind struct {
	// torn reports whether a text without a newline may be the beginning of a line that we wrote.
	torn func(line []byte) bool
	// whole reports whether such a text lacks only the newline.
	whole func(line []byte) bool
}

var (
	// A mark without its newline is cut off: the write did not finish, so the row was not sent.
	marks       = kind{tornMark, func([]byte) bool { return false }}
	resultLines = kind{results.Torn, json.Valid}
)

// replay calls fn with each line of a file, without its newline, and leaves the offset at the end.
// If the last line is incomplete after a crash, replay cuts it off if mayCut is true. A last line
// that lacks only its newline gets one. For any other line that fn rejects, replay returns an error
// and changes nothing, because the file may belong to another program.
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
				return fmt.Errorf("%s: damaged at byte %d: want a line of a batch", f.Name(), l.At())
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

// zeros reports whether a line has only zero bytes, which file systems may leave after a power cut.
func zeros(line []byte) bool { return len(bytes.Trim(line, "\x00")) == 0 }

// tornMark reports whether line may be the beginning of a mark, perhaps followed by zeros.
func tornMark(line []byte) bool {
	text := string(bytes.TrimRight(line, "\x00"))
	return len(text) < maxMark && strings.ContainsRune("BSRG", rune(text[0])) &&
		strings.Trim(text[1:], " -0123456789abcdef") == ""
}
