package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// fates are the results of the first three requests for every receipt, by receipt and request.
func fates(s *service) map[string]string {
	m := make(map[string]string)
	for i := range inTestdata {
		id := fmt.Sprintf("r%04d", i+1)
		for n := 1; n <= 3; n++ {
			_, m[fmt.Sprint(id, "/", n)] = s.fate(id, n)
		}
	}
	return m
}

func TestFateFollowsFromTheSeed(t *testing.T) {
	for _, build := range []func(config) *service{ocrService, visionService} {
		one := fates(build(config{receipts: inTestdata, seed: 1}))
		again := fates(build(config{receipts: inTestdata, seed: 1}))
		two := fates(build(config{receipts: inTestdata, seed: 2}))
		if !maps.Equal(one, again) {
			t.Error("the same seed gave another run")
		}
		if maps.Equal(one, two) {
			t.Error("another seed gave the same run")
		}
	}
}

// Every promised failure happens, at about its share.
func TestFateHasEverythingInStore(t *testing.T) {
	const nights = 20
	for _, build := range []func(config) *service{ocrService, visionService} {
		count := make(map[string]int)
		for seed := range nights {
			for at, fate := range fates(build(config{receipts: inTestdata, seed: uint64(seed)})) {
				if at < "r0111" { // before any outage
					count[fate]++
				}
			}
		}
		requests := float64(nights * 110 * 3)
		for _, m := range build(config{}).mishaps {
			got := float64(count[m.name]) / requests
			if got < 0.7*m.share || got > 1.3*m.share {
				t.Errorf("%s for %.4f of the requests, want about %.4f", m.name, got, m.share)
			}
		}
		if count[down] != 0 {
			t.Errorf("down %d times before the outage", count[down])
		}
	}
}

func TestOutages(t *testing.T) {
	ocr := fates(ocrService(config{receipts: inTestdata, seed: 1}))
	vision := fates(visionService(config{receipts: inTestdata, seed: 1}))
	for _, tt := range []struct {
		fates map[string]string
		id    string
		down  bool
	}{
		{ocr, "r0120", false}, {ocr, "r0121", true}, {ocr, "r0165", true}, {ocr, "r0166", false},
		{vision, "r0222", false}, {vision, "r0223", true}, {vision, "r0228", true},
		{vision, "r0229", false},
	} {
		for n := 1; n <= 3; n++ {
			fate := tt.fates[fmt.Sprint(tt.id, "/", n)]
			if got := fate == down; got != tt.down {
				t.Errorf("request %d for %s: down is %v, want %v", n, tt.id, got, tt.down)
			}
		}
	}
}

// doomed returns a running OCR service that does only this, and a receipt for it.
func doomed(t *testing.T, fate string) (*service, receipt) {
	t.Helper()
	s := ocrService(config{receipts: 1, seed: 1, speed: maxSpeed})
	s.mishaps, s.downFrom, s.calmFrom, s.calmTo = []mishap{{fate, 1}}, "", "", ""
	if fate == hang {
		s.speed = 1
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	receipts, _, err := load(1)
	if err != nil {
		t.Fatal(err)
	}
	return s, receipts[0]
}

// What a policy learns about each failure, over a real connection.
func TestMishapsAsFaults(t *testing.T) {
	for fate, want := range map[string]fault.Kind{
		unavailable: fault.Transient,
		throttled:   fault.RateLimited,
		reset:       fault.Transient,
		hang:        fault.Transient,
		truncated:   fault.Transient,
		misread:     fault.Transient,
		"":          fault.None,
	} {
		s, r := doomed(t, fate)
		client := &http.Client{Transport: &http.Transport{}}
		p := &pipeline{client: client}
		ctx, cancel := context.WithCancel(t.Context())
		if fate == hang {
			ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
		}
		var e extraction
		err := p.post(ctx, s.url, r, &e)
		if err == nil {
			err = malformed(e.check())
		}
		cancel()
		client.CloseIdleConnections()
		f := fault.Of(err)
		if f.Kind != want {
			t.Errorf("%q: %v is %v, want %v", fate, err, f.Kind, want)
		}
		if wait := 5 * time.Second / maxSpeed; fate == throttled && f.After < wait {
			t.Errorf("a Retry-After delay of %v, want at least %v", f.After, wait)
		}
		if want := fmt.Sprintf("1 requests: %s 1", fate); fate != "" && s.deeds() != want {
			t.Errorf("the service reports %q, want %q", s.deeds(), want)
		}
	}
}
