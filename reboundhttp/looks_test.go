package reboundhttp

import (
	"net/http"
	"testing"
)

// A Base that reads the trace gets one with every request, and one that never does gets few.
func TestLooks(t *testing.T) {
	var l looks
	records := 0
	for range 160 {
		if l.expected() {
			records++
		}
	}
	if want := 8 + 160/16; records != want {
		t.Errorf("%d of 160 requests have a record, want %d", records, want)
	}
	l.seen.Store(true)
	for range 20 {
		if !l.expected() {
			t.Fatal("a request has no record though Base looks for traces")
		}
	}
	tr := &Transport{Base: pipes(t, func(http.ResponseWriter, *http.Request) {})}
	resp, err := tr.RoundTrip(request(t, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	read(t, resp)
	if !tr.looks.seen.Load() {
		t.Error("net/http read the trace, but this was not noticed")
	}
}
