package main

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rebound-go/rebound/internal/printable"
)

// shown returns a name in a form that is safe to print on a terminal.
func shown(name string) string {
	if name == "" {
		return `""`
	}
	return printable.Name(name)
}

// escaped replaces each character that a terminal would act on by an escape. Newlines and tabs
// stay: names in errors are quoted already.
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

// writeColumns prints rows as columns. The first column is flush left. The others are flush right
// if right is true.
func writeColumns(out io.Writer, rows [][]string, right bool) error {
	_, err := io.WriteString(out, printable.Columns(rows, func(i int) bool { return i > 0 && right }))
	return err
}

// short formats a duration with about three digits.
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
