package crew

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestUseHalf(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, row := range []struct {
		cores int
		env   string
		want  int
	}{{1, "", 1}, {2, "", 1}, {3, "", 2}, {8, "", 4}, {8, "8", 8}} {
		t.Setenv("GOMAXPROCS", row.env)
		runtime.GOMAXPROCS(row.cores)
		UseHalf()
		if got := runtime.GOMAXPROCS(0); got != row.want {
			t.Errorf("%d cores, GOMAXPROCS=%q: %d, want %d", row.cores, row.env, got, row.want)
		}
	}
}

// The heap grows by about as much, whatever the table and the workers take.
func TestCollect(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Skip("GOGC is set")
	}
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for _, row := range []struct{ rows, workers, want int }{
		{100, 8, 200}, {1_000_000, 64, 67}, {1_000_000, 256, 26}, {10_000_000, 64, 4},
	} {
		Collect(row.rows, row.workers)
		if got := debug.SetGCPercent(100); got != row.want {
			t.Errorf("%d rows, %d workers: GOGC %d, want %d", row.rows, row.workers, got, row.want)
		}
	}
	crew := &Crew{First: 32, Most: 33, Rows: 1_000_000, Work: func() {}}
	crew.Start(33)
	crew.Wait()
	if got := debug.SetGCPercent(100); got != 67 {
		t.Errorf("a crew that grows beyond 32: GOGC %d, want 67, as for 64 workers", got)
	}
	crew.collect(64)
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("GOGC %d, want no change, because the crew was as large before", got)
	}
	t.Setenv("GOGC", "77")
	Collect(1_000_000, 64)
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("GOGC %d, want the user's", got)
	}
}
