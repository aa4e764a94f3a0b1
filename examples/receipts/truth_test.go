package main

import (
	"errors"
	"testing"
)

func TestLedger(t *testing.T) {
	paper := known{category: "books", date: "2026-02-03", total: 1099}
	right := extraction{Date: "2026-02-03", Total: 1099, Category: "books"}
	unsorted, misread, misdated, missorted := right, right, right, right
	unsorted.Category, misread.Total, misdated.Date, missorted.Category = "", 1098, "", "fuel"
	const a, torn = "r0001", "r0002"
	for _, tt := range []struct {
		name  string
		in    []string
		out   []result
		want  string
		sound bool
	}{
		{"extracted", []string{a}, []result{{a, extracted, right, nil}},
			"receipts in = 1, extracted = 1, by fallback = 0, skipped = 0, failed = 0, " +
				"lost = 0, duplicated = 0, wrong = 0", true},
		{"by fallback, and vision skipped", []string{a}, []result{{a, byFallback, unsorted, nil}},
			"receipts in = 1, extracted = 0, by fallback = 1, skipped = 0, failed = 0, " +
				"lost = 0, duplicated = 0, wrong = 0", true},
		{"skipped", []string{a}, []result{{a, skipped, unsorted, nil}},
			"receipts in = 1, extracted = 0, by fallback = 0, skipped = 1, failed = 0, " +
				"lost = 0, duplicated = 0, wrong = 0", true},
		{"failed", []string{a}, []result{{a, failed, extraction{}, errors.New("no")}},
			"receipts in = 1, extracted = 0, by fallback = 0, skipped = 0, failed = 1, " +
				"lost = 0, duplicated = 0, wrong = 0", true},
		{"interrupted", []string{a}, []result{{a, interrupted, extraction{}, nil}},
			"receipts in = 1, extracted = 0, by fallback = 0, skipped = 0, failed = 0, " +
				"interrupted = 1, lost = 0, duplicated = 0, wrong = 0", true},
		{"lost", []string{a, torn}, []result{{a, extracted, right, nil}},
			"receipts in = 2, extracted = 1, by fallback = 0, skipped = 0, failed = 0, " +
				"lost = 1, duplicated = 0, wrong = 0", false},
		{"duplicated", []string{a},
			[]result{{a, extracted, right, nil}, {a, extracted, right, nil}},
			"receipts in = 1, extracted = 1, by fallback = 0, skipped = 0, failed = 0, " +
				"lost = 0, duplicated = 1, wrong = 0", false},
		{"wrong total", []string{a}, []result{{a, extracted, misread, nil}},
			"receipts in = 1, extracted = 1, by fallback = 0, skipped = 0, failed = 0, " +
				"lost = 0, duplicated = 0, wrong = 1", false},
		{"wrong date", []string{a}, []result{{a, byFallback, misdated, nil}},
			"receipts in = 1, extracted = 0, by fallback = 1, skipped = 0, failed = 0, " +
				"lost = 0, duplicated = 0, wrong = 1", false},
		{"wrong category", []string{a}, []result{{a, extracted, missorted, nil}},
			"receipts in = 1, extracted = 1, by fallback = 0, skipped = 0, failed = 0, " +
				"lost = 0, duplicated = 0, wrong = 1", false},
		{"no category, though vision was not skipped", []string{a},
			[]result{{a, extracted, unsorted, nil}},
			"receipts in = 1, extracted = 1, by fallback = 0, skipped = 0, failed = 0, " +
				"lost = 0, duplicated = 0, wrong = 1", false},
		{"read what cannot be read", []string{torn}, []result{{torn, skipped, unsorted, nil}},
			"receipts in = 1, extracted = 0, by fallback = 0, skipped = 1, failed = 0, " +
				"lost = 0, duplicated = 0, wrong = 1", false},
		{"nobody's", nil, []result{{"r0003", failed, extraction{}, nil}},
			"receipts in = 0, extracted = 0, by fallback = 0, skipped = 0, failed = 1, " +
				"lost = 0, duplicated = 0, wrong = 1", false},
	} {
		l := newLedger(map[string]known{a: paper, torn: {unreadable: true}})
		for _, id := range tt.in {
			l.took(id)
		}
		for _, r := range tt.out {
			l.gave(r)
		}
		if got := l.tally(); got.String() != tt.want || got.sound() != tt.sound {
			t.Errorf("%s: %v, sound: %v\nwant %s, sound: %v",
				tt.name, got, got.sound(), tt.want, tt.sound)
		}
	}
}
