//go:build unix

package process

import "os"

// unlink removes the name of a temporary file, so that even a crash leaves nothing behind.
func unlink(f *os.File) { _ = os.Remove(f.Name()) }

func discard(*os.File) {}
