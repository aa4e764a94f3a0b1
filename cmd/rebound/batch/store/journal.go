package store

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strconv"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// A mark is a line of the journal. The line ends in a CRC-32 of the rest.
//
//	B key           begins the journal: the key of the batch's hashes
//	S id digest usd a row is about to be sent, at this cost at most, in billionths of a dollar
//	R id            the row is pending again: the server certainly did not act on it
//	G n usd         generation n begins, see retry.go; the earlier cost of its rows
type mark struct {
	kind       byte // 'B', 'S', 'R' or 'G'
	key        Key
	row        Row
	cost       money.Amount
	generation int
}

// maxMark is larger than any line of a mark.
const maxMark = 80 // bytes

// append appends the mark's line to b.
func (m mark) append(b []byte) []byte {
	at := len(b)
	b = append(b, m.kind, ' ')
	switch m.kind {
	case 'B':
		b = hex.AppendEncode(b, m.key[:])
	case 'S':
		b = strconv.AppendUint(b, m.row.ID, 16)
		b = strconv.AppendUint(append(b, ' '), uint64(m.row.Digest), 16)
		b = strconv.AppendInt(append(b, ' '), int64(m.cost), 10)
	case 'R':
		b = strconv.AppendUint(b, m.row.ID, 16)
	case 'G':
		b = strconv.AppendInt(b, int64(m.generation), 10)
		b = strconv.AppendInt(append(b, ' '), int64(m.cost), 10)
	}
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(b[at:]))
	return append(hex.AppendEncode(append(b, ' '), sum[:]), '\n')
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
	if cut < 2 || line[1] != ' ' {
		return m, false
	}
	m.kind = line[0]
	var rest [3][]byte
	n := 0
	for field := range bytes.SplitSeq(line[2:cut], []byte(" ")) {
		if n == len(rest) {
			return m, false
		}
		rest[n] = field
		n++
	}
	switch {
	case m.kind == 'B' && n == 1 && len(rest[0]) == hex.EncodedLen(len(m.key)):
		_, err = hex.Decode(m.key[:], rest[0])
	case m.kind == 'S' && n == 3:
		m.row.ID = number(rest[0], 16, 64, &err)
		m.row.Digest = uint32(number(rest[1], 16, 32, &err))
		m.cost, err = amount(rest[2], err)
	case m.kind == 'R' && n == 1:
		m.row.ID = number(rest[0], 16, 64, &err)
	case m.kind == 'G' && n == 2:
		m.generation = int(number(rest[0], 10, 31, &err))
		m.cost, err = amount(rest[1], err)
	default:
		return m, false
	}
	return m, err == nil
}

// number reads a number, unless err is already set. On failure it sets err.
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
