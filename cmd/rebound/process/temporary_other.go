//go:build !unix

package process

import "os"

// unlink does nothing, because a file that is open cannot be removed here.
func unlink(*os.File) {}

func discard(f *os.File) { _ = os.Remove(f.Name()) }
