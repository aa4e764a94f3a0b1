package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// Each exported receipt is read in a few attempts, but for those that cannot be read.
func TestBatchServices(t *testing.T) {
	receipts, truth, err := load(inTestdata)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "in.jsonl")
	if err := export(path, receipts); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(batchServices(config{receipts: inTestdata, seed: 1, speed: maxSpeed}))
	defer server.Close()
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); n++ {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		var read extraction
		status := ask(t, server.URL+r.URL, r.Body, &read)
		if want := truth[r.ID]; want.unreadable {
			if status != http.StatusUnprocessableEntity {
				t.Errorf("%s: status %d for one that cannot be read", r.ID, status)
			}
			continue
		} else if read.Total != want.total || read.Date != want.date {
			t.Errorf("%s: got %+v, want %+v", r.ID, read, want)
		}
		var l label
		ask(t, server.URL+"/vision/"+r.ID, scanned{Text: read.Shop}, &l)
		if l.Category != truth[r.ID].category {
			t.Errorf("%s: %q is not %q", r.ID, read.Shop, l.Category)
		}
	}
	if n != inTestdata {
		t.Errorf("%d rows, want %d", n, inTestdata)
	}
}

// ask posts a body until there is an answer, and returns the last status.
func ask(t *testing.T, url string, body scanned, answer any) (status int) {
	t.Helper()
	text, _ := json.Marshal(body)
	for range 10 {
		resp, err := http.Post(url, "application/json", bytes.NewReader(text))
		if err != nil {
			continue
		}
		status = resp.StatusCode
		err = json.NewDecoder(resp.Body).Decode(answer)
		resp.Body.Close()
		if status == 200 && err == nil || status == http.StatusUnprocessableEntity {
			return status
		}
	}
	t.Errorf("%s: no answer", url)
	return status
}
