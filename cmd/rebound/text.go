package main

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rebound-go/rebound/internal/printable"
)

// shown is a name as it may stand on a terminal.
func shown(name string) string {
	if name == "" {
		return `""`
	}
	return printable.Name(name)
}

// escaped is a text with an escape in the place of each character that a terminal would not just
// show. Lines stay lines: a name in an error is in quotes already.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// writeColumns prints rows as columns: the first is on the left of its column, and the others are
// too, or with right on the right of theirs.
func writeColumns(out io.Writer, rows [][]string, right bool) error {
	_, err := io.WriteString(out, printable.Columns(rows, func(i int) bool { return i > 0 && right }))
	return err
}

// short is a duration with about three digits.
func short(d time.Duration) string {
	for unit := time.Microsecond; unit < time.Hour; unit *= 10 {
		if d < 1000*unit {
			d = d.Round(unit)
			break
		}
	}
	text := d.String()
	for _, tail := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, tail) {
			text = text[:len(text)-2]
		}
	}
	return text
}
