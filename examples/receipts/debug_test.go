package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The page is served from the first receipt to the last, and then no more.
func TestDebugPage(t *testing.T) {
	r, w := io.Pipe()
	code := make(chan int)
	go func() {
		c := run(t.Context(), strings.Fields("-receipts 30 -speed 200 -debug localhost:0"), w, io.Discard)
		_ = w.Close()
		code <- c
	}()
	var address string
	lines := bufio.NewScanner(r)
	for address == "" && lines.Scan() {
		_, address, _ = strings.Cut(lines.Text(), "live page: ")
	}
	address, token, _ := strings.Cut(address, "#token=")
	if len(token) < 20 {
		t.Errorf("the token is %q, want 20 characters or more", token)
	}
	resp, err := http.Get(address + "?format=json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct {
		Title    string
		Policies []struct{ Policy string }
		Breakers []struct{ ID string }
	}
	err = json.NewDecoder(resp.Body).Decode(&page)
	if err != nil || page.Title != "receipts" || len(page.Policies) != 2 || len(page.Breakers) != 2 {
		t.Errorf("the page shows %+v (%v), want receipts, two policies and two breakers", page, err)
	}
	for lines.Scan() { // the report
	}
	if got := <-code; got != exitOK {
		t.Errorf("exit code %d, want %d", got, exitOK)
	}
	if _, err := http.Get(address); err == nil {
		t.Error("the page is still served when the run is over")
	}
}

func TestDebugAddressThatCannotBe(t *testing.T) {
	code, _, stderr := night(t.Context(), "-debug", "nowhere.invalid:1")
	if code != exitWrong || !strings.HasPrefix(stderr, "receipts: -debug: ") {
		t.Errorf("exit code %d, %q; want %d and the error of -debug", code, stderr, exitWrong)
	}
}
