package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestLedger(t *testing.T) {
	paper := known{category: "books", date: "2026-02-03", total: 1099}
	right := extraction{Date: "2026-02-03", Total: 1099, Category: "books"}
	unsorted, misread, misdated, missorted := right, right, right, right
	unsorted.Category, misread.Total, misdated.Date, missorted.Category = "", 1098, "", "fuel"
	const a, torn = "r0001", "r0002"
	for _, tt := range []struct {
		name string
		in   []string
		out  []result
		want [8]int
	}{
		{"extracted", []string{a}, []result{{a, extracted, right, nil}},
			[8]int{1, 1, 0, 0, 0, 0, 0, 0}},
		{"by fallback, and vision skipped", []string{a}, []result{{a, byFallback, unsorted, nil}},
			[8]int{1, 0, 1, 0, 0, 0, 0, 0}},
		{"skipped", []string{a}, []result{{a, skipped, unsorted, nil}},
			[8]int{1, 0, 0, 1, 0, 0, 0, 0}},
		{"failed", []string{a}, []result{{a, failed, extraction{}, errors.New("no")}},
			[8]int{1, 0, 0, 0, 1, 0, 0, 0}},
		{"lost", []string{a, torn}, []result{{a, extracted, right, nil}},
			[8]int{2, 1, 0, 0, 0, 1, 0, 0}},
		{"duplicated", []string{a},
			[]result{{a, extracted, right, nil}, {a, extracted, right, nil}},
			[8]int{1, 1, 0, 0, 0, 0, 1, 0}},
		{"wrong total", []string{a}, []result{{a, extracted, misread, nil}},
			[8]int{1, 1, 0, 0, 0, 0, 0, 1}},
		{"wrong date", []string{a}, []result{{a, byFallback, misdated, nil}},
			[8]int{1, 0, 1, 0, 0, 0, 0, 1}},
		{"wrong category", []string{a}, []result{{a, extracted, missorted, nil}},
			[8]int{1, 1, 0, 0, 0, 0, 0, 1}},
		{"no category, though vision was not skipped", []string{a},
			[]result{{a, extracted, unsorted, nil}}, [8]int{1, 1, 0, 0, 0, 0, 0, 1}},
		{"read what cannot be read", []string{torn}, []result{{torn, skipped, unsorted, nil}},
			[8]int{1, 0, 0, 1, 0, 0, 0, 1}},
		{"nobody's", nil, []result{{"r0003", failed, extraction{}, nil}},
			[8]int{0, 0, 0, 0, 1, 0, 0, 1}},
	} {
		got := balance(t, paper, tt.in, tt.out)
		if want := line(tt.want); got.String() != want || got.sound() != sound(tt.want) {
			t.Errorf("%s: %v, sound: %v\nwant %s", tt.name, got, got.sound(), want)
		}
	}
	got := balance(t, paper, []string{a}, []result{{a, interrupted, extraction{}, nil}})
	if want := "failed = 0, interrupted = 1, lost = 0"; !strings.Contains(got.String(), want) ||
		!got.sound() {
		t.Errorf("interrupted: %v, sound: %v; want %q in it", got, got.sound(), want)
	}
}

// balance is the tally of a ledger that took and gave so.
func balance(t *testing.T, a known, in []string, out []result) tally {
	t.Helper()
	l := newLedger(map[string]known{"r0001": a, "r0002": {unreadable: true}})
	for _, id := range in {
		l.took(id)
	}
	for _, r := range out {
		l.gave(r)
	}
	return l.tally()
}

// line is the line of truth with these numbers.
func line(n [8]int) string {
	return fmt.Sprintf("receipts in = %d, extracted = %d, by fallback = %d, skipped = %d, "+
		"failed = %d, lost = %d, duplicated = %d, wrong = %d",
		n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7])
}

func sound(n [8]int) bool { return n[5]+n[6]+n[7] == 0 }
