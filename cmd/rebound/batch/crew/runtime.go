package crew

import (
	"os"
	"runtime"
	"runtime/debug"
)

// UseHalf makes Go use half of the cores, but at least one, unless the user has set GOMAXPROCS. A
// row's work is many small steps. With another core, most of what is gained is lost by passing the
// steps between cores. On two cores, a row took 28 % more CPU time than on one, and no more rows
// were sent per second. One core sends 25,000 short rows per second.
func UseHalf() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((runtime.GOMAXPROCS(0) + 1) / 2)
	}
}

// Bounds of the heap's growth between two collections, in bytes.
const (
	leastGrowth = 6 << 20
	mostGrowth  = 11 << 20
	heap        = 28 << 20 // above it, the heap grows by leastGrowth
)

// What a batch keeps in memory, in bytes.
const (
	perRow    = 13       // in the table
	perWorker = 32 << 10 // stacks, buffers and a connection
	rest      = 2 << 20
)

// Collect sets GOGC so that the heap grows by some MiB between collections, whatever its size. By
// default it would double, and the table of the rows and the workers' stacks and buffers can be
// large. Collect does nothing if the user has set GOGC.
func Collect(rows, workers int) {
	if os.Getenv("GOGC") != "" {
		return
	}
	kept := rest + rows*perRow + workers*perWorker
	growth := min(max(heap-kept, leastGrowth), mostGrowth)
	debug.SetGCPercent(min(200, 100*growth/kept))
}
