package process

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
)

// Whatever is written can be read, wherever the border between memory and file is.
func TestSpool(t *testing.T) {
	for _, size := range []int{0, 1, inMemory - 1, inMemory, inMemory + 1, 3*inMemory + 7} {
		var s spool
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i >> 8)
		}
		for part := want; len(part) > 0; {
			n, err := s.Write(part[:min(len(part), 300_001)])
			if err != nil {
				t.Fatal(err)
			}
			part = part[n:]
		}
		got, err := io.ReadAll(s.reader())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v, want the %d that were written", len(got), err, size)
		}
		if len(s.memory) > inMemory || (s.file != nil) != (size > inMemory) {
			t.Errorf("%d bytes: got %d in memory, file %v", size, len(s.memory), s.file)
		}
		s.Close()
	}
}

// Every attempt reads the input from the beginning, and takes no more from the source than it
// reads.
func TestInputIsReadAgain(t *testing.T) {
	src := strings.NewReader(strings.Repeat("0123456789", 100_000))
	in := Replay(src)
	for range 3 {
		r := in.reader()
		first := make([]byte, 15)
		if _, err := io.ReadFull(r, first); err != nil || string(first) != "012345678901234" {
			t.Errorf("got %q, %v, want the beginning", first, err)
		}
		r.close()
		if _, err := r.Read(first); err == nil {
			t.Error("got no error from a reader that is closed")
		}
	}
	if read := 1_000_000 - src.Len(); read > 64<<10 {
		t.Errorf("got %d bytes taken from the source, want at most one piece of 64 KB", read)
	}
	all, err := io.ReadAll(in.reader())
	if err != nil || len(all) != 1_000_000 {
		t.Errorf("got %d bytes, %v, want a million", len(all), err)
	}
}

func TestLines(t *testing.T) {
	var got []string
	l := &lines{watch: func(line []byte) { got = append(got, string(line)) }}
	long := strings.Repeat("x", longestLine)
	for _, text := range []string{"one\ntw", "o\n", "\nthree", long + "y\nend"} {
		l.write([]byte(text))
	}
	l.flush()
	want := []string{"one", "two", "", "three" + long + "y", "end"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %.300q, want %.300q", got, want)
	}
}
