// Package printable prepares text of unknown origin for terminals: the name of a policy may come
// from a host or a tenant.
package printable

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name returns name. If name holds anything that a terminal would act on instead of printing it,
// Name returns it in quotes and with escapes: control characters, marks of direction, bytes that
// are not text. Space at either end is quoted as well, because it is invisible.
func Name(name string) string {
	plain := utf8.ValidString(name) && strings.TrimSpace(name) == name
	if plain && !strings.ContainsFunc(name, hidden) {
		return name
	}
	return strconv.Quote(name)
}

// hidden reports whether a terminal may act on r: everything but letters, marks, digits, signs and
// the plain space.
func hidden(r rune) bool { return !unicode.IsPrint(r) }

// wide are the characters that take two columns: most of East Asia's, and emoji. It is Unicode's
// UAX #11 in coarse blocks. A mistake only shifts a column by one.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1},
		{Lo: 0x3041, Hi: 0xa4cf, Stride: 1}, {Lo: 0xa960, Hi: 0xa97f, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff01, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// Width returns the columns that text takes on a terminal.
func Width(text string) int {
	columns := 0
	for _, r := range text {
		switch {
		// Marks combine with the character before them, so they take no column.
		case unicode.In(r, unicode.Mn, unicode.Me):
		case unicode.Is(wide, r):
			columns += 2
		default:
			columns++
		}
	}
	return columns
}
