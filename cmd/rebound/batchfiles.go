package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/net/http/httpguts"

	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
)

// usedFile is a file that a run reads or writes. what describes it in errors.
type usedFile struct{ what, path string }

// checkFiles returns an error if --ordered or --report is not writable, or is another file of the
// run. These files are written last, so a late error would come after a whole night's work.
func (f *batchFlags) checkFiles() error {
	out := f.o.Output
	used := []usedFile{
		{"the results", out}, {"the errors", out + ".errors"}, {"the journal", out + ".journal"},
		{"the copy of standard input", out + ".input"},
	}
	if f.o.Input != "-" {
		used = append([]usedFile{{"the input", f.o.Input}}, used...)
		if sameFile(out, f.o.Input) {
			return fmt.Errorf("--output %s is the input: want another file", out)
		}
	}
	for _, w := range []usedFile{{"--ordered", f.o.Ordered}, {"--report", f.o.Report}} {
		if w.path == "" {
			continue
		}
		for _, other := range used {
			if sameFile(w.path, other.path) {
				return fmt.Errorf("%s %s is also the file of %s: want another file", w.what, w.path,
					other.what)
			}
		}
		// --ordered replaces its file, and must not replace a device or a pipe.
		if err := writable(w.path, w.path == f.o.Ordered); err != nil {
			return fmt.Errorf("%s %s: %w", w.what, w.path, err)
		}
		used = append(used, w)
	}
	return nil
}

// sameFile reports whether two paths name one file. The file need not exist.
func sameFile(a, b string) bool {
	left, err := os.Stat(a)
	right, err2 := os.Stat(b)
	if err == nil && err2 == nil {
		return os.SameFile(left, right)
	}
	return resolved(a) == resolved(b)
}

// resolved returns the path with an absolute directory without links, if that directory exists.
func resolved(path string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return path
	}
	return filepath.Join(dir, filepath.Base(path))
}

// writable returns an error if a file cannot be written, or if it must be regular and is not. It
// leaves the file as it is.
func writable(path string, regular bool) error {
	info, err := os.Stat(path)
	var f *os.File
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f, err = os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
		if err == nil {
			defer os.Remove(f.Name())
		}
	case err == nil && info.IsDir():
		return errors.New("is a directory")
	case err == nil && !info.Mode().IsRegular() && regular:
		return errors.New("is not a regular file")
	case err == nil && !info.Mode().IsRegular():
		return nil // to open a pipe waits for a reader
	case err == nil:
		f, err = os.OpenFile(path, os.O_WRONLY, 0)
	}
	if err == nil {
		err = f.Close()
	}
	if in := (*fs.PathError)(nil); errors.As(err, &in) {
		err = in.Err // without the path of a temporary file; the caller adds the user's
	}
	return err
}

// checkKey returns an error if --idempotency-key names a header that cannot hold a key.
func (f *batchFlags) checkKey() error {
	name := f.o.IdempotencyAs
	switch {
	case name == "":
		return nil
	case !httpguts.ValidHeaderFieldName(name) || !rows.MaySet(name):
		return fmt.Errorf("--idempotency-key %q: want a header such as Idempotency-Key", name)
	case f.o.Header.Get(name) != "":
		return fmt.Errorf("--idempotency-key %s: --header sets it, too: want one of them", name)
	}
	return nil
}
