// Package lines reads files of lines, such as JSONL.
package lines

import (
	"bufio"
	"fmt"
	"io"
)

// The longest lines. The bounds keep a file that is not JSONL from filling the memory. A result may
// be longer than its row, and every line that was written must be readable.
const (
	MaxInput  = 64 << 20 // bytes
	MaxResult = 1 << 30  // bytes
)

// Reader reads lines of a bounded length, and counts their offsets.
type Reader struct {
	r    *bufio.Reader
	at   int64 // offset of the line that Read returned
	next int64
	most int    // bytes of a line, at most
	long []byte // a line longer than r's buffer
}

// New returns a Reader of the lines of r. A line of more than most bytes is an error.
func New(r io.Reader, most int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10), most: most}
}

// NewShort is New with a small buffer, for reading single lines.
func NewShort(r io.Reader, most int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 2<<10), most: most}
}

// Reset makes the Reader read from r, from offset 0.
func (l *Reader) Reset(r io.Reader) {
	l.r.Reset(r)
	l.at, l.next = 0, 0
}

// Read returns the next line, with its newline if it has one. The line is valid until the next
// call.
func (l *Reader) Read() (line []byte, err error) {
	l.at = l.next
	l.long = l.long[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.next += int64(len(part))
		switch {
		case len(l.long)+len(part) > l.most:
			return nil, fmt.Errorf("the line is longer than %d MiB", l.most>>20)
		case err == bufio.ErrBufferFull:
			l.long = append(l.long, part...)
			continue
		case err != nil && err != io.EOF:
			return nil, err
		case len(l.long) > 0:
			l.long = append(l.long, part...)
			part = l.long
		}
		if len(part) == 0 {
			return nil, io.EOF
		}
		return part, nil
	}
}

// At returns the offset of the line that Read returned last.
func (l *Reader) At() int64 { return l.at }
