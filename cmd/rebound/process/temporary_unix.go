//go:build unix

package process

import "os"

// unlink takes a temporary file's name, so that nothing is left of it, whatever happens.
func unlink(f *os.File) { _ = os.Remove(f.Name()) }

func discard(*os.File) {}
