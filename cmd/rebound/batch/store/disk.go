package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// file has the methods of *os.File that the Store uses.
type file interface {
	io.ReadWriteSeeker
	io.ReaderAt
	Truncate(size int64) error
	Sync() error
	Close() error
	Name() string
}

// disk has the system calls of the Store. Tests make any of them fail.
type disk interface {
	// open opens a file for reading and writing. It creates the file if there is none.
	open(path string) (file, error)
	lock(f file) error
	exists(path string) (bool, error)
	rename(from, to string) error
	remove(path string) error
	// syncDir makes renames in path's directory survive a power cut.
	syncDir(path string) error
}

type osDisk struct{}

func (osDisk) open(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New(path+" is not a regular file"), f.Close())
	}
	return f, nil
}

func (osDisk) lock(f file) error            { return lockFile(f.(*os.File)) }
func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }
func (osDisk) syncDir(path string) error    { return syncDir(path) }

func (osDisk) exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
