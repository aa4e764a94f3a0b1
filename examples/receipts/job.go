package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
)

const (
	workers   = 8
	scanEvery = 2500 * time.Millisecond // the scanner's pace
)

// job is the state of the program.
type job struct {
	config
	receipts    []receipt
	ledger      *ledger
	policies    *policies
	ocr, vision *service
	pipeline    *pipeline
	progress    *progress
	debugPage   *debugPage // nil without -debug
}

func newJob(cfg config, stderr io.Writer) (*job, error) {
	receipts, truth, err := load(cfg.receipts)
	if err != nil {
		return nil, err
	}
	j := &job{
		config: cfg, receipts: receipts, ledger: newLedger(truth),
		ocr: ocrService(cfg), vision: visionService(cfg),
	}
	j.progress = newProgress(stderr, j.status)
	j.policies = newPolicies(cfg, j.breakerChanged)
	if cfg.debug != "" {
		if j.debugPage, err = serveDebug(cfg.debug, j.policies); err != nil {
			return nil, err
		}
	}
	for _, s := range []*service{j.ocr, j.vision} {
		if err := s.start(); err != nil {
			return nil, err
		}
	}
	j.pipeline = &pipeline{
		policies: j.policies, ocrURL: j.ocr.url, visionURL: j.vision.url,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}},
	}
	return j, nil
}

func (j *job) close() {
	j.debugPage.stop()
	j.pipeline.client.CloseIdleConnections()
	j.ocr.stop()
	j.vision.stop()
}

// work sends all receipts through the pipeline, until ctx ends.
func (j *job) work(ctx context.Context) {
	j.progress.start()
	defer j.progress.stop()
	tray := make(chan receipt, len(j.receipts)) // the scanner never waits
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for r := range tray {
				j.ledger.gave(j.pipeline.process(ctx, r))
			}
		})
	}
	j.scan(ctx, tray)
	all.Wait()
}

// scan puts one receipt after the other into the tray, and records each in the ledger.
func (j *job) scan(ctx context.Context, tray chan<- receipt) {
	defer close(tray)
	next := time.NewTicker(j.speed.of(scanEvery))
	defer next.Stop()
	for _, r := range j.receipts {
		select {
		case <-ctx.Done():
			j.progress.logf("interrupted")
			return
		case <-next.C:
			j.ledger.took(r.id)
			tray <- r
		}
	}
}

func (j *job) breakerChanged(c breaker.Change) {
	j.progress.logf("%s breaker: %v -> %v (%s)", c.Name, c.From, c.To, c.Why)
}

// status returns the line of progress.
func (j *job) status() string {
	t := j.ledger.tally()
	done := t.in - t.lost
	return fmt.Sprintf("%s %d/%d  retries %d  fallback %d  skipped %d  failed %d",
		bar(done, len(j.receipts)), done, len(j.receipts),
		j.policies.recorder.Snapshot().Total.Retries,
		t.by[byFallback], t.by[skipped], t.by[failed])
}

// announce prints the configuration of the run.
func (j *job) announce(w io.Writer) {
	fmt.Fprintf(w, "%d receipts, %d workers, seed %d; all times divided by %v\n",
		len(j.receipts), workers, j.seed, float64(j.speed))
	describe := func(s *service, p *rebound.Policy, otherwise string) {
		attempts := fmt.Sprintf("%d attempts", p.Attempts)
		if p.Attempts == 1 {
			attempts = "no retries, 1 attempt"
		}
		fmt.Fprintf(w, "  %-7s %s  %s of %v; breaker %d/%v, %s\n", s.name, s.url, attempts,
			p.AttemptTimeout, p.Breaker.Failures, p.Breaker.Cooldown, otherwise)
	}
	describe(j.ocr, j.policies.ocr, "otherwise read locally")
	describe(j.vision, j.policies.vision, "skipped when open")
	if j.debugPage != nil {
		fmt.Fprintf(w, "  live page: %s\n", j.debugPage.url)
	}
}

// report prints the results of the run.
func (j *job) report(w io.Writer) {
	fmt.Fprintln(w, "\nWhat the services did:")
	for _, s := range []*service{j.ocr, j.vision} {
		fmt.Fprintf(w, "  %-7s %s\n", s.name, s.deeds())
	}
	fmt.Fprintln(w)
	_ = j.policies.recorder.WriteReport(w)
	if failures := j.ledger.failures(); len(failures) > 0 {
		const most = 5
		fmt.Fprintln(w, "\nFailed:")
		for _, line := range failures[:min(most, len(failures))] {
			fmt.Fprintf(w, "  %s\n", line)
		}
		if more := len(failures) - most; more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
	fmt.Fprintf(w, "\n%v\n", j.ledger.tally())
}
