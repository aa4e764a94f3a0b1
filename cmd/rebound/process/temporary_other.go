//go:build !unix

package process

import "os"

// unlink does nothing: a file that is open cannot be removed.
func unlink(*os.File) {}

func discard(f *os.File) { _ = os.Remove(f.Name()) }
