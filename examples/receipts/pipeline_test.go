package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
)

// rig is a pipeline between two services that follow a script.
func rig(t *testing.T, ocrFate, visionFate string) (*pipeline, []receipt, *ledger) {
	t.Helper()
	cfg := config{receipts: inTestdata, seed: 1, speed: 400}
	ocr, vision := ocrService(cfg), visionService(cfg)
	for s, fate := range map[*service]string{ocr: ocrFate, vision: visionFate} {
		s.mishaps, s.downFrom, s.calmFrom, s.calmTo = []mishap{{fate, 1}}, "", "", ""
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.stop)
	}
	receipts, truth, err := load(inTestdata)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return &pipeline{
		policies: newPolicies(cfg, func(breaker.Change) {}),
		client:   client, ocrURL: ocr.url, visionURL: vision.url,
	}, receipts, newLedger(truth)
}

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name, ocr, vision string
		want              outcome
	}{
		{"all is well", "", "", extracted},
		{"ocr is down", reset, "", byFallback},
		{"ocr answers nonsense", truncated, "", byFallback},
		{"ocr misreads every total", misread, "", byFallback},
		{"vision is down", "", unavailable, skipped}, // after 3 failures its breaker is open
		{"both are down", unavailable, reset, byFallback},
		{"vision throttles to the end", "", throttled, failed}, // which its breaker does not count
	} {
		p, receipts, ledger := rig(t, tt.ocr, tt.vision)
		ledger.took(receipts[0].id)
		r := p.process(t.Context(), receipts[0])
		ledger.gave(r)
		if r.outcome != tt.want {
			t.Errorf("%s: outcome %d (%v), want %d", tt.name, r.outcome, r.err, tt.want)
		}
		if got := ledger.tally(); !got.sound() {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestTornReceiptFailsAtOnce(t *testing.T) {
	p, receipts, _ := rig(t, "", "")
	r := p.process(t.Context(), receipts[87])
	if r.outcome != failed {
		t.Fatalf("outcome %d, want %d", r.outcome, failed)
	}
	// An earlier attempt may have failed in another way, because time runs fast here and timeouts are
	// short.
	for _, want := range []string{
		" of 5: status 422", "(not retryable after", "then its fallback failed",
	} {
		if !strings.Contains(r.err.Error(), want) {
			t.Errorf("the error is %q, want %q in it", r.err, want)
		}
	}
}

func TestProcessWhenInterrupted(t *testing.T) {
	p, receipts, _ := rig(t, "", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := p.process(ctx, receipts[0]); r.outcome != interrupted {
		t.Errorf("outcome %d (%v), want %d", r.outcome, r.err, interrupted)
	}
}

func TestStatusesAsReasons(t *testing.T) {
	for status, want := range map[int]rebound.Reason{
		http.StatusInternalServerError: rebound.Exhausted,
		http.StatusTooManyRequests:     rebound.Exhausted,
		http.StatusUnprocessableEntity: rebound.NotRetryable,
		http.StatusUnauthorized:        rebound.NotRetryable,
	} {
		p := ocrPolicy()
		hurry(p, maxSpeed)
		p.Attempts = 2
		_, err := rebound.Do(t.Context(), p, func(context.Context) (int, error) {
			return 0, statusError(&http.Response{StatusCode: status}, nil)
		})
		if e, ok := err.(*rebound.Error); !ok || e.Reason != want {
			t.Errorf("status %d: %v, want %v", status, err, want)
		}
	}
}
