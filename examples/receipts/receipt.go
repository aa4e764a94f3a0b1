package main

import (
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// receipt is one input of the job.
type receipt struct {
	id    string // "r0001" and so on
	image []byte // the result of scan
}

// extraction is the content of a receipt. It is the OCR service's answer, and the job's output.
type extraction struct {
	Shop     string `json:"shop"`
	Date     string `json:"date"` // 2006-01-02
	Items    []item `json:"items"`
	Total    cents  `json:"total_cents"`
	Category string `json:"-"` // from the vision service; empty if skipped
	local    bool   // read by the fallback, so names have gaps
}

type item struct {
	Count  int    `json:"count"`
	Name   string `json:"name"`
	Amount cents  `json:"amount_cents"` // for all Count items
}

type cents int

func (c cents) String() string { return fmt.Sprintf("%d.%02d", int(c)/100, int(c)%100) }

// check returns an error if an extraction is inconsistent.
func (e extraction) check() error {
	if _, err := time.Parse(time.DateOnly, e.Date); err != nil {
		return fmt.Errorf("invalid date: %w", err)
	}
	var sum cents
	for _, it := range e.Items {
		sum += it.Amount
	}
	if sum != e.Total || sum == 0 {
		return fmt.Errorf("items sum to %v, but the total is %v", sum, e.Total)
	}
	return nil
}

// The lines of a receipt are recognized by their digits and punctuation, which are never smudged.
var (
	itemLine  = regexp.MustCompile(`^(\d+) \* (.+?) +(\d+)\.(\d\d)$`)
	totalLine = regexp.MustCompile(`^[^\d\s]+ +(\d+)\.(\d\d)$`)
	dateLine  = regexp.MustCompile(`^(\d{4}-\d\d-\d\d) \d\d:\d\d$`)
)

var errUnreadable = errors.New("unreadable: no total found")

// parse reads the text of a receipt.
func parse(text string) (extraction, error) {
	lines := strings.Split(text, "\n")
	e := extraction{Shop: lines[0]}
	for _, line := range lines[1:] {
		if m := itemLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			e.Items = append(e.Items, item{n, m[2], amount(m[3], m[4])})
		} else if m := totalLine.FindStringSubmatch(line); m != nil {
			e.Total = amount(m[1], m[2])
		} else if m := dateLine.FindStringSubmatch(line); m != nil {
			e.Date = m[1]
		}
	}
	if e.Total == 0 {
		return e, errUnreadable
	}
	return e, nil
}

// amount converts digits to cents. The patterns above match nothing but digits.
func amount(whole, fraction string) cents {
	n, _ := strconv.Atoi(whole + fraction)
	return cents(n)
}

// smudge is set in the bytes of a scan that are hard to read.
const smudge = 0x80

// scan returns the scan of a paper. A third of the letters are smudged. The OCR service can read
// them, but the local fallback cannot.
func scan(paper string) []byte {
	h := fnv.New64a()
	h.Write([]byte(paper))
	dice := rand.New(rand.NewPCG(h.Sum64(), 0))
	image := []byte(paper)
	for i, c := range image {
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z'; letter && dice.IntN(3) == 0 {
			image[i] |= smudge
		}
	}
	return image
}

// testdata has the receipts of a year, one file per month. The generator in testdata_test.go made
// them.
//
//go:embed testdata/*.txt
var testdata embed.FS

// inTestdata is the number of receipts in testdata.
const inTestdata = 300

// load returns the first n receipts, and the correct results by id.
func load(n int) ([]receipt, map[string]known, error) {
	names, err := fs.Glob(testdata, "testdata/*.txt")
	if err != nil {
		return nil, nil, err
	}
	var receipts []receipt
	truth := make(map[string]known)
	for _, name := range names {
		text, err := fs.ReadFile(testdata, name)
		if err != nil {
			return nil, nil, err
		}
		for entry := range strings.SplitSeq(string(text), "== ") {
			label, paper, ok := strings.Cut(entry, "\n")
			if !ok || len(receipts) == n {
				continue
			}
			id, k, err := parseLabel(label)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", name, err)
			}
			truth[id] = k
			receipts = append(receipts, receipt{id, scan(strings.TrimSpace(paper))})
		}
	}
	return receipts, truth, nil
}

// parseLabel reads "r0001 bakery 2026-01-02 8.40" or "r0117 unreadable".
func parseLabel(label string) (id string, k known, err error) {
	fields := strings.Fields(label)
	switch {
	case len(fields) == 2 && fields[1] == "unreadable":
		return fields[0], known{unreadable: true}, nil
	case len(fields) != 4:
		return "", k, fmt.Errorf("label %q: want an id, a category, a date and a total", label)
	}
	whole, fraction, _ := strings.Cut(fields[3], ".")
	return fields[0], known{
		category: fields[1], date: fields[2], total: amount(whole, fraction),
	}, nil
}
