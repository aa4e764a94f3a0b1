// Package jsonscan finds values in JSON without decoding the others.
//
// It accepts exactly what encoding/json accepts, even strings that are not UTF-8, in a third of the
// time. A batch reads each of its rows and answers several times, which is most of what a row costs
// besides its request. Results are parts of the text itself, not copies.
package jsonscan

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// Valid reports whether text is one JSON value, with or without white space around it. An empty
// text is not.
func Valid(text []byte) bool {
	end := skip(text, 0, 0)
	return end >= 0 && blanks(text, end) == len(text)
}

// First returns the first value in text, without white space around it, and everything after it:
// more values if text is JSON lines. ok is false if text does not begin with a value.
func First(text []byte) (value, rest []byte, ok bool) {
	from := blanks(text, 0)
	end := skip(text, from, 0)
	if end < 0 {
		return nil, text, false
	}
	return text[from:end], text[end:], true
}

// Fields calls fn with each field of an object: its name, decoded, and its value, without white
// space around it. It returns false if text is not one object. fn has then been called for the
// fields before the error.
func Fields(text []byte, fn func(name, value []byte)) bool { return members(text, '{', fn) }

// Elements is Fields for an array, whose elements have no names. It returns false if text is not
// one array.
func Elements(text []byte, fn func(value []byte)) bool {
	return members(text, '[', func(_, value []byte) { fn(value) })
}

// members is Fields or Elements, depending on open. It checks that nothing but white space follows.
func members(text []byte, open byte, fn func(name, value []byte)) bool {
	i := blanks(text, 0)
	if i == len(text) || text[i] != open {
		return false
	}
	end := skipMembers(text, i, 0, fn)
	return end >= 0 && blanks(text, end) == len(text)
}

// Text decodes a value that is a string. ok is false if it is not one. A string without escapes,
// which most are, is only copied. The value must be valid, as the values from Fields are.
func Text(value []byte) (text string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner), true
	}
	// encoding/json also replaces bytes that are not UTF-8, so the result is the same as its own.
	err := json.Unmarshal(value, &text)
	return text, err == nil
}

// maxDepth keeps a text of a million brackets from exhausting the stack. It is the depth of nesting
// that encoding/json allows.
const maxDepth = 10000

// skip reads the value at i, after white space. depth is the number of objects and arrays around
// it. The first byte decides what kind of value it is.
//
// This and the functions below return the index at which the value ends, or -1 if it is invalid.
// They do not look at what follows: only the caller knows what may be there.
func skip(text []byte, i, depth int) int {
	i = blanks(text, i)
	if i == len(text) {
		return -1
	}
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipMembers(text, i, depth, nil)
	case 't':
		return skipWord(text, i, "true")
	case 'f':
		return skipWord(text, i, "false")
	case 'n':
		return skipWord(text, i, "null")
	}
	// Anything else must be a number. skipNumber rejects what begins no value, such as NaN, which
	// JavaScript has and JSON does not.
	return skipNumber(text, i)
}

// skipMembers reads the object or array at i, and calls fn with its members, unless fn is nil.
func skipMembers(text []byte, i, depth int, fn func(name, value []byte)) int {
	if depth == maxDepth {
		return -1
	}
	// In ASCII each closing bracket is two after its opening one.
	named, closing := text[i] == '{', text[i]+2
	i = blanks(text, i+1)
	if i < len(text) && text[i] == closing {
		return i + 1
	}
	for {
		var name []byte
		if named {
			if name, i = skipName(text, i); i < 0 {
				return -1
			}
		}
		// The value is checked before fn gets it, so that fn can decode it without checks.
		from := blanks(text, i)
		if i = skip(text, from, depth+1); i < 0 {
			return -1
		}
		if fn != nil {
			fn(name, text[from:i])
		}
		i = blanks(text, i)
		switch {
		case i == len(text):
			return -1
		case text[i] == closing:
			return i + 1
		case text[i] != ',':
			return -1
		}
		i++
	}
}

// skipName reads a field's name and the colon. The name is decoded, because {"a": 1} may be written
// as {"\u0061": 1}.
func skipName(text []byte, i int) (name []byte, end int) {
	i = blanks(text, i)
	if i == len(text) || text[i] != '"' {
		return nil, -1
	}
	if end = skipString(text, i); end < 0 {
		return nil, -1
	}
	// Almost no names have escapes.
	name = text[i+1 : end-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		decoded, _ := Text(text[i:end])
		name = []byte(decoded)
	}
	if end = blanks(text, end); end == len(text) || text[end] != ':' {
		return nil, -1
	}
	return name, end + 1
}

// skipString reads the string whose first quote is at i, eight bytes at a time. Most of the text in
// rows and answers is inside strings.
func skipString(text []byte, i int) int {
	i++
	for {
		// A loop over single bytes takes five times as long.
		for i+8 <= len(text) {
			if found := special(binary.LittleEndian.Uint64(text[i:])); found != 0 {
				i += bits.TrailingZeros64(found) / 8
				break
			}
			i += 8
		}
		if i == len(text) {
			return -1
		}
		switch c := text[i]; {
		case c == '"':
			return i + 1
		// Control characters must be escaped in JSON.
		case c < ' ':
			return -1
		case c == '\\':
			if i = skipEscape(text, i+1); i < 0 {
				return -1
			}
		}
		i++
	}
}

// special is the part of skipString that looks at eight bytes at once. On every byte that it passes
// over, a loop would make three comparisons.
//
// special finds the quotes, backslashes and control characters among the eight bytes in w. The top
// bit of the first one is the lowest bit that is set; the result is 0 if there is none. A
// subtraction borrows only from bytes above a match, so bits above the first may be wrong.
func special(w uint64) uint64 {
	const each, top = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^each*'"', w^each*'\\'
	return ((w-each*' ')&^w | (quote-each)&^quote | (slash-each)&^slash) & top
}

// skipEscape reads what follows a backslash, and returns the index of its last byte.
func skipEscape(text []byte, i int) int {
	if i == len(text) {
		return -1
	}
	switch text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i
	case 'u':
		// Half of a surrogate pair is not an error in encoding/json, which decodes it to U+FFFD.
		for n := 1; n <= 4; n++ {
			if i+n >= len(text) || !isHex(text[i+n]) {
				return -1
			}
		}
		return i + 4
	}
	return -1
}

// isHex reports whether c is a hexadecimal digit, in either case.
func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// isDigit reports whether c is a decimal digit.
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// skipNumber reads the number at i: digits, with an optional fraction and exponent. It is tried
// last, so it also rejects what begins no value at all.
func skipNumber(text []byte, i int) int {
	if text[i] == '-' {
		i++
	}
	from := i
	// JSON has no leading zeros.
	if i < len(text) && text[i] == '0' {
		i++ // no digit follows
	} else if i = digits(text, i); i == from {
		return -1
	}
	if i < len(text) && text[i] == '.' {
		from = i + 1
		if i = digits(text, from); i == from {
			return -1
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		from = i
		if i = digits(text, from); i == from {
			return -1
		}
	}
	return i
}

// digits returns the end of the digits at i, or i if there are none.
func digits(text []byte, i int) int {
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	return i
}

// skipWord reads true, false or null. It need not check that the word ends there, because the
// caller rejects whatever follows the value.
func skipWord(text []byte, i int, word string) int {
	if !bytes.HasPrefix(text[i:], []byte(word)) {
		return -1
	}
	return i + len(word)
}

// blanks returns the end of the white space at i. JSON has four white space characters, fewer than
// unicode.IsSpace accepts.
func blanks(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}
