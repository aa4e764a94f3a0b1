package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// service is an HTTP service that often fails. Receipts are posted to /ID. What happens to a
// request depends on the seed, the receipt, and the number of earlier requests for it. It does not
// depend on the clock or the order of arrival. So the same seed causes the same failures on any
// machine.
type service struct {
	name     string
	seed     uint64
	speed    speed
	took     [2]time.Duration // the shortest and the longest time of an answer
	mishaps  []mishap
	downFor  int    // failing requests per receipt in the outage; 0 = all
	downFrom string // the first receipt in the outage
	calmFrom string // the first receipt after the outage, and without mishaps
	calmTo   string // the first receipt with mishaps again
	answer   func(image []byte) (any, error)

	mu       sync.Mutex
	arrivals map[string]int // number of requests by receipt
	count    map[string]int // number of requests by mishap

	url    string
	server *http.Server
	served chan struct{} // closed when the server has ended
}

// mishap is a kind of failure that happens to a share of the requests.
type mishap struct {
	name  string
	share float64
}

// The names of the mishaps.
const (
	unavailable = "503"
	throttled   = "429"       // with Retry-After
	reset       = "reset"     // of the connection, without an answer
	hang        = "hang"      // for longer than any timeout
	truncated   = "truncated" // half of the answer is missing
	misread     = "misread"   // one digit of the total is wrong
	down        = "down"      // 503 or a reset at once, in an outage
)

// ocrService reads receipts. It has an outage for 15 % of them, in the middle of the run.
func ocrService(cfg config) *service {
	return &service{
		name: "ocr", seed: cfg.seed, speed: cfg.speed,
		took: [2]time.Duration{2 * time.Second, 6 * time.Second},
		mishaps: []mishap{
			{unavailable, 0.06}, {reset, 0.03}, {hang, 0.02}, {truncated, 0.02}, {misread, 0.03},
		},
		downFrom: idAt(cfg, 0.40), calmFrom: idAt(cfg, 0.55), calmTo: idAt(cfg, 0.62),
		answer: func(image []byte) (any, error) { return parse(cleaned(image)) },
	}
}

// visionService returns the category of a receipt's shop. It has an outage for 2 % of the receipts,
// late in the run.
func visionService(cfg config) *service {
	return &service{
		name: "vision", seed: cfg.seed, speed: cfg.speed,
		took: [2]time.Duration{3 * time.Second, 7 * time.Second},
		mishaps: []mishap{
			{throttled, 0.12}, {unavailable, 0.02}, {reset, 0.01}, {hang, 0.01}, {truncated, 0.01},
		},
		downFrom: idAt(cfg, 0.74), calmFrom: idAt(cfg, 0.76), calmTo: idAt(cfg, 0.95),
		answer: func(image []byte) (any, error) { return look(cleaned(image)) },
	}
}

// idAt returns the id of the receipt at a point of the run, from 0 to 1.
func idAt(cfg config, at float64) string {
	return fmt.Sprintf("r%04d", 1+int(at*float64(cfg.receipts)))
}

// cleaned returns the text of a scan, without the smudges.
func cleaned(image []byte) string {
	text := bytes.Clone(image)
	for i := range text {
		text[i] &^= smudge
	}
	return string(text)
}

// label is the vision service's answer.
type label struct {
	Category string `json:"category"`
}

var categories = map[string]string{
	"CORNER BAKERY":    "bakery",
	"MILL LANE GROCER": "groceries",
	"THE TIN KETTLE":   "restaurant",
	"NAILS AND BOLTS":  "hardware",
	"PAPER MOON BOOKS": "books",
	"RIVERSIDE FUEL":   "fuel",
}

func look(text string) (label, error) {
	shop, _, _ := strings.Cut(text, "\n")
	category, ok := categories[shop]
	if !ok {
		return label{}, errors.New("unknown logo")
	}
	return label{category}, nil
}

// fate returns the mishap of the n-th request for a receipt, or "" for none. The dice are for other
// random decisions about that request.
func (s *service) fate(id string, n int) (*rand.Rand, string) {
	h := fnv.New64a()
	fmt.Fprint(h, s.name, id, n)
	dice := rand.New(rand.NewPCG(h.Sum64(), s.seed))
	u := dice.Float64()
	switch {
	case id >= s.downFrom && id < s.calmFrom && (s.downFor == 0 || n <= s.downFor):
		return dice, down
	case id >= s.calmFrom && id < s.calmTo:
		return dice, ""
	}
	for _, m := range s.mishaps {
		if u < m.share {
			return dice, m.name
		}
		u -= m.share
	}
	return dice, ""
}
