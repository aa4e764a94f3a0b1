package store

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

// simDisk is a disk in memory. It fails at a chosen call, and keeps separately what survives a
// power cut.
type simDisk struct {
	mu      sync.Mutex
	rng     *rand.Rand
	names   map[string]*simNode
	durable map[string]*simNode
	renames []func(map[string]*simNode) // since the last syncDir

	left   int // calls before the failure; negative = none
	how    simFailure
	dead   bool // the process is
	epoch  int  // counts processes
	fired  bool // the failure has happened
	failed bool // a sync has
	late   int  // writes and syncs after it
}

type simFailure int

const (
	crashes   simFailure = iota // of the process; a write may be short
	fills                       // ENOSPC, after a short write
	syncFails                   // EIO
	renFails                    // EIO of a rename or a remove
)

type simNode struct {
	data, synced []byte
	locked       int // epoch of the process
}

var errDead = errors.New("the process is dead")

func newSimDisk(rng *rand.Rand) *simDisk {
	return &simDisk{rng: rng, names: map[string]*simNode{}, durable: map[string]*simNode{},
		left: -1, epoch: 1}
}

// step counts a call, and returns the error that it fails with. The caller holds mu.
func (d *simDisk) step(kinds ...simFailure) error {
	if d.dead {
		return errDead
	}
	if d.failed && (slices.Contains(kinds, fills) || slices.Contains(kinds, syncFails)) {
		d.late++
	}
	if d.left < 0 {
		return nil
	}
	fits := d.how == crashes || slices.Contains(kinds, d.how)
	if d.left > 0 || !fits {
		d.left = max(d.left-1, 0)
		return nil
	}
	d.fired = true
	switch d.how {
	case crashes:
		d.dead = true
		return errDead
	case fills:
		return syscall.ENOSPC
	case syncFails:
		d.failed = true
	case renFails:
	}
	return syscall.EIO
}

// restart ends the process, and perhaps the power. The failure is over.
func (d *simDisk) restart(power bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	d.dead, d.failed, d.fired, d.left = false, false, false, -1
	if !power {
		return
	}
	for _, rename := range d.renames[:d.rng.IntN(len(d.renames)+1)] {
		rename(d.durable)
	}
	d.names, d.renames = maps.Clone(d.durable), nil
	for _, n := range d.names {
		n.cutPower(d.rng)
	}
}

// cutPower keeps what was synced, and some of what was written after it, perhaps as zeros.
func (n *simNode) cutPower(rng *rand.Rand) {
	rest, grown := bytes.CutPrefix(n.data, n.synced)
	switch {
	case grown:
		kept := rng.IntN(len(rest) + 1)
		n.data = append(bytes.Clone(n.synced), rest[:kept]...)
		if rng.IntN(2) == 0 {
			n.data = append(n.data, make([]byte, rng.IntN(len(rest)-kept+1))...)
		}
	case rng.IntN(2) == 0:
		n.data = n.synced
	}
	n.synced = bytes.Clone(n.data)
}

func (d *simDisk) open(path string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	n := d.names[path]
	if n == nil {
		n = &simNode{}
		d.change(func(names map[string]*simNode) { names[path] = n })
	}
	return &simFile{d: d, n: n, name: path, epoch: d.epoch}, nil
}

func (d *simDisk) change(fn func(map[string]*simNode)) {
	fn(d.names)
	d.renames = append(d.renames, fn)
}

func (d *simDisk) lock(f file) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := f.(*simFile).n
	if n.locked == d.epoch {
		return syscall.EAGAIN
	}
	n.locked = d.epoch
	return d.step()
}

func (d *simDisk) exists(path string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names[path] != nil, d.step()
}

func (d *simDisk) rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[from] == nil {
		return syscall.ENOENT
	}
	if err := d.step(renFails); err != nil {
		return err
	}
	d.change(func(names map[string]*simNode) {
		names[to] = names[from]
		delete(names, from)
	})
	return nil
}

func (d *simDisk) remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(renFails); err != nil {
		return err
	}
	d.change(func(names map[string]*simNode) { delete(names, path) })
	return nil
}

func (d *simDisk) syncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(syncFails); err != nil {
		return err
	}
	d.durable, d.renames = maps.Clone(d.names), nil
	return nil
}

type simFile struct {
	d     *simDisk
	n     *simNode
	name  string
	at    int64
	epoch int
}

func (f *simFile) Name() string { return f.name }

// call locks the disk, and returns the error that the call fails with.
func (f *simFile) call(kinds ...simFailure) error {
	f.d.mu.Lock()
	if f.epoch != f.d.epoch {
		return errDead
	}
	return f.d.step(kinds...)
}

func (f *simFile) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.at)
	f.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *simFile) ReadAt(b []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	n := copy(b, f.n.data[min(at, int64(len(f.n.data))):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *simFile) Seek(offset int64, whence int) (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.at = offset
	if whence == io.SeekEnd {
		f.at += int64(len(f.n.data))
	}
	return f.at, nil
}

func (f *simFile) Write(b []byte) (int, error) {
	err := f.call(fills)
	defer f.d.mu.Unlock()
	if f.epoch != f.d.epoch {
		return 0, err
	}
	if err != nil {
		b = b[:f.d.rng.IntN(len(b)+1)]
	}
	if gap := int(f.at) - len(f.n.data); gap > 0 {
		f.n.data = append(f.n.data, make([]byte, gap)...)
	}
	f.n.data = append(f.n.data[:f.at:f.at], b...)
	f.at += int64(len(b))
	return len(b), err
}

func (f *simFile) Truncate(size int64) error {
	err := f.call()
	defer f.d.mu.Unlock()
	if err == nil {
		f.n.data = f.n.data[:size:size]
	}
	return err
}

func (f *simFile) Sync() error {
	err := f.call(syncFails)
	defer f.d.mu.Unlock()
	if err == nil {
		f.n.synced = bytes.Clone(f.n.data)
	}
	return err
}

func (f *simFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.epoch == f.d.epoch && f.n.locked == f.epoch {
		f.n.locked = 0
	}
	return nil
}
