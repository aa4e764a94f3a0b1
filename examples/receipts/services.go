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

// service is an HTTP service that misbehaves. Receipts are posted to /ID. What happens to a
// request follows from the seed, the receipt and how many requests for it came before, not from
// the clock or the order of arrival: the same seed is the same bad night on any machine.
type service struct {
	name     string
	seed     uint64
	speed    speed
	took     [2]time.Duration // an answer takes between these
	mishaps  []mishap
	downFor  int    // requests for a receipt find it down; 0 = all, of these receipts:
	downFrom string // receipts from this one on find the service down,
	calmFrom string // from this one on well, as services are when freshly restarted,
	calmTo   string // and from this one on as before
	answer   func(image []byte) (any, error)

	mu       sync.Mutex
	arrivals map[string]int // requests, by receipt
	count    map[string]int // what happened to them, by name of the mishap

	url    string
	server *http.Server
	served chan struct{} // closed when the server is at its end
}

// mishap is something that happens to this share of the requests.
type mishap struct {
	name  string
	share float64
}

// The mishaps by name.
const (
	unavailable = "503"
	throttled   = "429"       // with Retry-After
	reset       = "reset"     // of the connection, instead of an answer
	hang        = "hang"      // for longer than any timeout
	truncated   = "truncated" // half of the answer is missing
	misread     = "misread"   // one digit of the total is wrong
	down        = "down"      // 503 or a reset, at once: not a share of requests, but an outage
)

// ocrService reads receipts. It is down for 15 % of them, in the middle of the run.
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

// visionService says what sort of shop a receipt's logo belongs to. It is down for a moment, 2 %
// of the receipts, late in the run.
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

// idAt is the id of the receipt at a point of the run, 0 = its beginning, 1 = its end.
func idAt(cfg config, at float64) string {
	return fmt.Sprintf("r%04d", 1+int(at*float64(cfg.receipts)))
}

// cleaned is the text of a scan, smudges and all.
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

// fate says what happens to the n-th request for a receipt: a mishap, or "" for none. The dice are
// for what else is left to chance about that request.
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
