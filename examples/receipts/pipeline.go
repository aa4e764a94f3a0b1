package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
)

// pipeline sends receipts through both services.
type pipeline struct {
	*policies
	client    *http.Client
	ocrURL    string
	visionURL string
}

// process sends a receipt through both services. An error is part of the result, so that the job
// continues.
func (p *pipeline) process(ctx context.Context, r receipt) result {
	e, err := p.read(ctx, r)
	if err != nil {
		return result{id: r.id, outcome: ended(ctx, failed), err: err}
	}
	out := extracted
	if e.local {
		out = byFallback
	}
	category, err := p.sort(ctx, r)
	switch {
	case err == nil:
		e.Category = category
	case !errors.Is(err, breaker.ErrOpen):
		return result{id: r.id, outcome: ended(ctx, failed), err: err}
	case out == extracted:
		out = skipped
	}
	return result{id: r.id, outcome: out, extraction: e, err: err}
}

// ended returns out, or interrupted if ctx has ended.
func ended(ctx context.Context, out outcome) outcome {
	if ctx.Err() != nil {
		return interrupted
	}
	return out
}

// read asks the OCR service for the receipt's text. If the call fails or the breaker rejects it,
// the local reader is the fallback.
func (p *pipeline) read(ctx context.Context, r receipt) (extraction, error) {
	return rebound.DoElse(ctx, p.ocr,
		func(ctx context.Context) (e extraction, err error) {
			if err = p.post(ctx, p.ocrURL, r, &e); err == nil {
				err = malformed(e.check())
			}
			return e, err
		},
		func(context.Context, error) (extraction, error) { return readLocally(r.image) },
	)
}

func (p *pipeline) sort(ctx context.Context, r receipt) (string, error) {
	l, err := rebound.DoChecked(ctx, p.vision,
		func(ctx context.Context) (l label, err error) {
			err = p.post(ctx, p.visionURL, r, &l)
			return l, err
		},
		label.check,
	)
	return l.Category, err
}

func (l label) check() error {
	if l.Category == "" {
		return malformed(errors.New("no category"))
	}
	return nil
}

// post sends a receipt to a service and decodes the answer. Errors of the network are returned
// as they are: a policy classifies timeouts and broken connections.
func (p *pipeline) post(ctx context.Context, url string, r receipt, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/"+r.id,
		bytes.NewReader(r.image))
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // before post returns, because then ctx ends
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return statusError(resp, body)
	}
	return malformed(json.Unmarshal(body, answer))
}

// malformed marks an invalid answer as transient: the next one may be valid.
func malformed(err error) error {
	if err == nil {
		return nil
	}
	return rebound.Transient(fmt.Errorf("malformed answer: %w", err))
}

// statusError marks the error of a status other than 200. A mark takes precedence over the policy.
// Without one, the aggressive preset would not retry a 503.
func statusError(resp *http.Response, body []byte) error {
	err := fmt.Errorf("status %d: %s", resp.StatusCode, bytes.TrimSpace(body))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		wait, _ := fault.ParseRetryAfter(resp.Header, time.Now())
		return rebound.RetryAfter(err, wait)
	case resp.StatusCode >= 500:
		return rebound.Transient(err)
	default:
		return rebound.Permanent(err)
	}
}
