package store

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The heap after many done rows were recovered is that of the table: 12 bytes and 2 bits a
// row.
func TestMemoryOfManyRows(t *testing.T) {
	const rows = 200_000
	path := filepath.Join(t.TempDir(), "out")
	writeDone(t, path, rows)
	before := heap()
	s, table, _ := opened(t, osDisk{}, path, true, rows)
	if n := table.Count()[Done]; n != rows {
		t.Errorf("%d rows are done, want %d", n, rows)
	}
	if took := heap() - before; took > 14*rows+1<<20 {
		t.Errorf("%d rows take %d bytes", rows, took)
	}
	runtime.KeepAlive(table)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// writeDone writes the files of a batch whose rows are all done.
func writeDone(t testing.TB, path string, rows int) {
	t.Helper()
	s, _, key := opened(t, osDisk{}, path, false, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".journal"} {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		out := bufio.NewWriterSize(f, 1<<20)
		for i := range rows {
			if name == path {
				fmt.Fprintf(out, `{"custom_id":%q,"id":"rebound-1","response":{"status_code":200,`+
					`"body":{"text":"%0400d"}},"error":null,"rebound":{"attempts":1,"seconds":0.2}}`+"\n",
					rowID(i), i)
			} else {
				_, _ = out.Write(mark{kind: 'S', row: Row{ID: key.Hash(rowID(i))}}.append(nil))
			}
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkRecovery(b *testing.B) {
	const rows = 200_000
	path := filepath.Join(b.TempDir(), "out")
	writeDone(b, path, rows)
	for b.Loop() {
		s, _, _ := opened(b, osDisk{}, path, true, rows)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/rows, "µs/row")
}
