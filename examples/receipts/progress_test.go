package main

import (
	"bytes"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgress(t *testing.T) {
	for _, tt := range []struct {
		live bool
		want string
	}{
		{false, "  2.0s  1/2\n  3.0s  bang 7\n  3.0s  1/2\n"},
		{true, "\r\x1b[K1/2\r\x1b[K  0.1s  bang 7\n\r\x1b[K1/2\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var w bytes.Buffer
			p := newProgress(&w, func() string { return "1/2" })
			p.live = tt.live
			p.start()
			if tt.live {
				time.Sleep(150 * time.Millisecond)
			} else {
				time.Sleep(3 * time.Second)
			}
			p.logf("bang %d", 7)
			p.stop()
			if w.String() != tt.want {
				t.Errorf("live %v: got\n%q, want\n%q", tt.live, w.String(), tt.want)
			}
		})
	}
}

func TestOnlyATerminalIsLive(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(file) || isTerminal(&bytes.Buffer{}) {
		t.Error("a file or a buffer is taken for a terminal")
	}
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		done, all int
		want      string
	}{
		{0, 300, "[--------------------]"},
		{150, 300, "[##########----------]"},
		{299, 300, "[###################-]"},
		{300, 300, "[####################]"},
		{0, 0, "[--------------------]"},
	} {
		if got := bar(tt.done, tt.all); got != tt.want {
			t.Errorf("bar(%d, %d) is %s, want %s", tt.done, tt.all, got, tt.want)
		}
	}
}
