// Package store keeps the state of a batch, so that neither a crash nor a power cut loses or
// doubles a row.
package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math/bits"
	"slices"

	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
)

// State is the state of a row of the input.
type State byte

// The states of a row.
const (
	Pending State = iota // not sent, or sent and given back
	InDoubt              // sent in an earlier run, but without a result
	Done                 // its line is in the results
	Failed               // its line is in the errors
)

// Row identifies a row in the journal.
type Row struct {
	ID     uint64 // [Key.Hash] of its custom_id
	Digest uint32 // [Digest] of its line
}

// Table has an entry for each row of the input. An entry takes 12 bytes and 2 bits.
type Table struct {
	ids     []uint64 // sorted
	digests []uint32 // in the order of ids
	states  []byte   // two bits each, in the order of ids
}

// NewTable returns an empty table with room for rows.
func NewTable(rows int) *Table {
	return &Table{ids: make([]uint64, 0, rows), digests: make([]uint32, 0, rows)}
}

// Add adds a row. After the last row, call Complete.
func (t *Table) Add(k Row) {
	t.ids, t.digests = append(t.ids, k.ID), append(t.digests, k.Digest)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.ids) }

// Complete sorts the table, and returns the ids that more than one row has.
func (t *Table) Complete() (repeated map[uint64]bool) {
	t.sort()
	t.states = make([]byte, (len(t.ids)+3)/4)
	repeated = map[uint64]bool{}
	for i := 1; i < len(t.ids); i++ {
		if t.ids[i] == t.ids[i-1] {
			repeated[t.ids[i]] = true
		}
	}
	return repeated
}

// perBucket is the mean number of rows in a bucket of sort.
const perBucket = 16

// sort sorts both columns. The ids are hashes, so their first bits spread them evenly over buckets.
func (t *Table) sort() {
	buckets := len(t.ids)/perBucket + 1
	ends := make([]uint32, buckets+1) // ends[i] is the end of bucket i-1, and so the start of bucket i
	for _, id := range t.ids {
		ends[scaled(id, buckets)+1]++
	}
	for i := 1; i <= buckets; i++ {
		ends[i] += ends[i-1]
	}
	next := slices.Clone(ends[:buckets])
	for bucket := range buckets {
		for i := next[bucket]; i < ends[bucket+1]; i = next[bucket] {
			to := scaled(t.ids[i], buckets)
			t.swap(int(i), int(next[to]))
			next[to]++
		}
		part := Table{ids: t.ids[ends[bucket]:ends[bucket+1]],
			digests: t.digests[ends[bucket]:ends[bucket+1]]}
		part.sortBucket()
	}
}

// sortBucket is an insertion sort. A bucket has few rows, or many with the same id.
func (t *Table) sortBucket() {
	for i := range t.ids {
		for j := i; j > 0 && t.ids[j] < t.ids[j-1]; j-- {
			t.swap(j, j-1)
		}
	}
}

func (t *Table) swap(i, j int) {
	t.ids[i], t.ids[j] = t.ids[j], t.ids[i]
	t.digests[i], t.digests[j] = t.digests[j], t.digests[i]
}

// scaled maps the range of ids to 0 … n-1: it returns id·n/2⁶⁴.
func scaled(id uint64, n int) int {
	whole, _ := bits.Mul64(id, uint64(n))
	return int(whole)
}

// Find returns the index of a row in the table. It uses interpolation search, because the ids are
// spread evenly.
func (t *Table) Find(id uint64) (i int, ok bool) {
	const near = 64 // steps of one before the binary search
	n := len(t.ids)
	if n == 0 {
		return 0, false
	}
	i = scaled(id, n)
	for range 2 {
		if at := t.ids[i]; at <= id {
			i = min(i+scaled(id-at, n), n-1)
		} else {
			i = max(i-scaled(at-id, n), 0)
		}
	}
	for range near {
		switch at := t.ids[i]; {
		case at == id:
			return i, true
		case at < id && (i+1 == n || t.ids[i+1] > id), at > id && i == 0:
			return i, false
		case at < id:
			i++
		default:
			i--
		}
	}
	return slices.BinarySearch(t.ids, id)
}

// State returns the state of the row at index i.
func (t *Table) State(i int) State { return State(t.states[i/4] >> (i % 4 * 2) & 3) }

// Set sets the state of the row at index i.
func (t *Table) Set(i int, s State) {
	shift := i % 4 * 2
	t.states[i/4] = t.states[i/4]&^(3<<shift) | byte(s)<<shift
}

// Count returns the number of rows in each state.
func (t *Table) Count() (n [4]int) {
	for i := range t.ids {
		n[t.State(i)]++
	}
	return n
}

// Key keys the hashes of a batch, so that an input cannot have ids chosen to collide.
type Key [16]byte

// Hash returns the first 64 bits of the SHA-256 of the key and the id. Among ten million ids, two
// have the same hash with a probability of 3 in a million.
func (k Key) Hash(id string) uint64 {
	var buf [128]byte
	sum := sha256.Sum256(append(append(buf[:0], k[:]...), id...))
	return binary.BigEndian.Uint64(sum[:])
}

// Name returns a name for a row that is unique, and the same in every run.
func (k Key) Name(id string) string {
	var sum [8]byte
	for i, h := 0, k.Hash(id); i < len(sum); i++ {
		sum[i] = byte(h >> (56 - 8*i))
	}
	return results.NamePrefix + hex.EncodeToString(k[:4]) + hex.EncodeToString(sum[:])
}

// Digest returns a checksum of a row's line, which shows whether the line has changed.
func Digest(line []byte) uint32 { return crc32.ChecksumIEEE(line) }
