package store

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"
)

// withSum appends the checksum of a mark.
func withSum(text string) []byte {
	return fmt.Appendf(nil, "%s %08x", text, crc32.ChecksumIEEE([]byte(text)))
}

// Whatever the three files hold, recovery does not panic. The error of a rejected run has the file
// and the byte, and at most the end of a file has changed. An accepted run gets the same a second
// time, and no row is done or failed without its line.
func FuzzRecovery(f *testing.F) {
	var k Key
	journal := string(mark{kind: 'B', key: k}.append(nil))
	journal += string(mark{kind: 'S', row: Row{k.Hash("a"), 7}, cost: 5}.append(nil))
	journal += string(mark{kind: 'R', row: Row{ID: k.Hash("a")}}.append(nil))
	journal += string(mark{kind: 'G', generation: 1}.append(nil))
	f.Add([]byte(lineA+"\n"+lineB[:40]), []byte(lineB+"\n"), []byte(journal))
	f.Add([]byte(openAI+"\n"+expired), []byte(vllm), []byte(journal+"S 12\x00\x00"))
	f.Add([]byte(google), []byte(claude+"\n\x00"), []byte("\x00"))
	f.Add([]byte(request), []byte("\\"), []byte(journal[:70]))
	f.Add([]byte(lineA+lineB+"\n"), []byte(`{"custom_id":"\`), []byte("B"))
	f.Fuzz(func(t *testing.T, results, errors, journal []byte) {
		d := newSimDisk(rand.New(rand.NewPCG(1, 2)))
		before := map[string][]byte{"out": results, "out.errors": errors, "out.journal": journal}
		for name, data := range before {
			d.names[name] = &simNode{data: append([]byte(nil), data...)}
		}
		got, _, err := states(t, d, "out")
		for name, data := range before {
			left := strings.TrimSuffix(string(d.names[name].data), "\n")
			if !strings.HasPrefix(string(data), left) && name != "out.journal" {
				t.Fatalf("%s was %q and is %q", name, data, left)
			}
			if rest := string(data[len(left):]); strings.Contains(rest[min(1, len(rest)):], "\n") {
				t.Fatalf("%s lost more than its last line: %q", name, data)
			}
		}
		if err != nil {
			if !strings.Contains(err.Error(), "at byte ") || !strings.HasPrefix(err.Error(), "out") {
				t.Fatalf("%v names no file and byte", err)
			}
			return
		}
		for i, id := range []string{"a", "b", "c"} {
			file := map[byte]string{'D': "out", 'F': "out.errors"}[got[i]]
			if file != "" && !strings.Contains(string(d.names[file].data), id) {
				t.Fatalf("%s is %c without a line of %s", id, got[i], file)
			}
		}
		if again, _, err := states(t, d, "out"); err != nil || again != got {
			t.Fatalf("got %s, %v the second time, %s the first", again, err, got)
		}
	})
}
