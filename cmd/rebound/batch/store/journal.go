package store

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// The journal has a line for each of these, which ends in the CRC-32 of what is before it.
//
//	B key           the batch: the key of its hashes
//	S id digest usd a row is about to be sent; its reserved cost in billionths of a dollar
//	R id            the row has come back: the server certainly has not acted
//	G n usd         a new generation: FILE.errors becomes FILE.errors.n, see retry; the cost of the
//	                rows that it takes up
type mark struct {
	kind       byte // 'B', 'S', 'R' or 'G'
	key        Key
	row        Row
	cost       money.Amount
	generation int
}

// maxMark is more than the longest line of a mark.
const maxMark = 80 // bytes

// append appends the mark's line to b.
func (m mark) append(b []byte) []byte {
	at := len(b)
	b = append(b, m.kind, ' ')
	switch m.kind {
	case 'B':
		b = hex.AppendEncode(b, m.key[:])
	case 'S':
		b = fmt.Appendf(b, "%x %x %d", m.row.ID, m.row.Digest, m.cost)
	case 'R':
		b = strconv.AppendUint(b, m.row.ID, 16)
	case 'G':
		b = fmt.Appendf(b, "%d %d", m.generation, m.cost)
	}
	return fmt.Appendf(b, " %08x\n", crc32.ChecksumIEEE(b[at:]))
}

// parseMark reads a line without its newline. ok is false if it is damaged.
func parseMark(line []byte) (m mark, ok bool) {
	cut := bytes.LastIndexByte(line, ' ')
	if cut < 0 || len(line)-cut != len(" 01234567") {
		return m, false
	}
	sum, err := strconv.ParseUint(string(line[cut+1:]), 16, 32)
	if err != nil || uint32(sum) != crc32.ChecksumIEEE(line[:cut]) {
		return m, false
	}
	fields := bytes.Fields(line[:cut])
	if len(fields) < 2 || len(fields[0]) != 1 {
		return m, false
	}
	m.kind = fields[0][0]
	rest := fields[1:]
	switch {
	case m.kind == 'B' && len(rest) == 1 && len(rest[0]) == hex.EncodedLen(len(m.key)):
		_, err = hex.Decode(m.key[:], rest[0])
	case m.kind == 'S' && len(rest) == 3:
		m.row.ID = number(rest[0], 16, 64, &err)
		m.row.Digest = uint32(number(rest[1], 16, 32, &err))
		m.cost, err = amount(rest[2], err)
	case m.kind == 'R' && len(rest) == 1:
		m.row.ID = number(rest[0], 16, 64, &err)
	case m.kind == 'G' && len(rest) == 2:
		m.generation = int(number(rest[0], 10, 31, &err))
		m.cost, err = amount(rest[1], err)
	default:
		return m, false
	}
	return m, err == nil
}

// number reads a number, unless there was an error before. It sets err to its own.
func number(text []byte, base, bits int, err *error) (n uint64) {
	if *err == nil {
		n, *err = strconv.ParseUint(string(text), base, bits)
	}
	return n
}

func amount(text []byte, before error) (money.Amount, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return money.Amount(n), cmp.Or(before, err)
}

func newKey() (k Key) {
	_, _ = rand.Read(k[:]) // never fails
	return k
}
