// Package lines reads files of lines, such as JSONL.
package lines

import (
	"bufio"
	"fmt"
	"io"
)

// Bounds of a line, so that a file that is not JSONL fills no memory. A line of the results may be
// longer than what was sent: what was written must be readable again.
const (
	MaxInput  = 64 << 20 // bytes
	MaxResult = 1 << 30  // bytes
)

// Reader reads lines of any length and counts the bytes before them.
type Reader struct {
	r    *bufio.Reader
	at   int64 // offset of the line that Read returned
	next int64
	most int
	long []byte
}

// New returns a reader of the lines of r, which have most bytes or fewer.
func New(r io.Reader, most int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10), most: most}
}

// NewShort is New for a line here and there, with a buffer that is short.
func NewShort(r io.Reader, most int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 2<<10), most: most}
}

// Reset has it read from r, with the same buffer.
func (l *Reader) Reset(r io.Reader) {
	l.r.Reset(r)
	l.at, l.next = 0, 0
}

// Read returns the next line, with its newline if it has one. It is valid until the next call.
func (l *Reader) Read() (line []byte, err error) {
	l.at = l.next
	l.long = l.long[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.next += int64(len(part))
		switch {
		case len(l.long)+len(part) > l.most:
			return nil, fmt.Errorf("a line of more than %d MiB", l.most>>20)
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

// At is the offset of the line that Read has returned.
func (l *Reader) At() int64 { return l.at }
