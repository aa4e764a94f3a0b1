// Package store keeps what a batch has done, so that neither a crash nor a power cut loses or
// doubles a row.
package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"sort"
)

// State is what is known about a row of the input.
type State byte

// The states of a row.
const (
	Pending State = iota // not sent, or come back
	InDoubt              // sent in an earlier run, without a result
	Done                 // in the results
	Failed               // in the errors
)

// Row is what the journal holds of a row.
type Row struct {
	ID     uint64 // [Key.Hash] of its custom_id
	Digest uint32 // of its line
}

// Table has an entry for each row of the input: 12 bytes and 2 bits, whatever the row holds.
type Table struct {
	ids     []uint64 // sorted
	digests []uint32 // in the order of ids
	states  []byte   // two bits each, in the same order
}

// NewTable returns a table with room for so many rows.
func NewTable(rows int) *Table {
	return &Table{ids: make([]uint64, 0, rows), digests: make([]uint32, 0, rows)}
}

// Add adds a row. Complete comes after the last.
func (t *Table) Add(k Row) {
	t.ids, t.digests = append(t.ids, k.ID), append(t.digests, k.Digest)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.ids) }

// byID sorts both columns of a table.
type byID struct{ *Table }

func (t byID) Less(i, j int) bool { return t.ids[i] < t.ids[j] }
func (t byID) Swap(i, j int) {
	t.ids[i], t.ids[j] = t.ids[j], t.ids[i]
	t.digests[i], t.digests[j] = t.digests[j], t.digests[i]
}

// Complete sorts the Table once all rows are in it, and returns the ids that several rows have.
func (t *Table) Complete() (repeated map[uint64]bool) {
	sort.Sort(byID{t})
	t.states = make([]byte, (len(t.ids)+3)/4)
	repeated = map[uint64]bool{}
	for i := 1; i < len(t.ids); i++ {
		if t.ids[i] == t.ids[i-1] {
			repeated[t.ids[i]] = true
		}
	}
	return repeated
}

// Find returns the place of a row in the table.
func (t *Table) Find(id uint64) (i int, ok bool) { return slices.BinarySearch(t.ids, id) }

// State is the state of the row at a place.
func (t *Table) State(i int) State { return State(t.states[i/4] >> (i % 4 * 2) & 3) }

// Set sets the state of the row at a place.
func (t *Table) Set(i int, s State) {
	shift := i % 4 * 2
	t.states[i/4] = t.states[i/4]&^(3<<shift) | byte(s)<<shift
}

// Count is how many rows are in each state.
func (t *Table) Count() (n [4]int) {
	for i := range t.ids {
		n[t.State(i)]++
	}
	return n
}

// Key makes the hashes of one batch its own, so that nobody can choose ids that collide.
type Key [16]byte

// Hash is the first 64 bits of the SHA-256 of the key and the id. Two of ten million ids have the
// same one with a probability of 3 in a million.
func (k Key) Hash(id string) uint64 {
	var buf [128]byte
	sum := sha256.Sum256(append(append(buf[:0], k[:]...), id...))
	return binary.BigEndian.Uint64(sum[:])
}

// Name is a name for a row that is the same in every run and nowhere else.
func (k Key) Name(id string) string {
	var sum [8]byte
	for i, h := 0, k.Hash(id); i < len(sum); i++ {
		sum[i] = byte(h >> (56 - 8*i))
	}
	return "rebound-" + hex.EncodeToString(k[:4]) + hex.EncodeToString(sum[:])
}

// Digest is what a row's line is compared by, to report that it has changed.
func Digest(line []byte) uint32 { return crc32.ChecksumIEEE(line) }
