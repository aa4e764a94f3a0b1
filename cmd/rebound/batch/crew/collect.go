package crew

import (
	"os"
	"runtime/debug"
)

// Collect sets GOGC so that the heap grows by about 7 MiB between collections. By default it would
// double, and the table of the rows and the workers' stacks and buffers can be large. Collect does
// nothing if the user has set GOGC.
func Collect(rows, workers int) {
	const growth, row, worker, rest = 7 << 20, 13, 32 << 10, 2 << 20 // bytes
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(min(200, 100*growth/(rest+rows*row+workers*worker)))
	}
}
