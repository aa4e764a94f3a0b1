// Receipts is a night's work for rebound: a few hundred scanned receipts go through two HTTP
// services that misbehave, and every receipt must come out right, exactly once.
//
//	go run ./examples/receipts
//	go run ./examples/receipts -no-retry     # the same night with one attempt per call
//	go run ./examples/receipts -seed 7 -receipts 100 -speed 80
//	go run ./examples/receipts -debug localhost:8080   # with a live page to watch it on
//	go run ./examples/receipts -export in.jsonl -serve localhost:7070   # for rebound batch
//
// Each receipt is read by an OCR service, under the aggressive preset and a breaker (5 failures,
// 60 s) with a local reader to fall back to, and then sorted by a vision service, under the
// rate-limit preset and a breaker (3 failures, 120 s), which is skipped while that is open. Both
// services are real ones, on loopback. They answer 503, reset connections, hang, throttle with
// Retry-After, cut answers short and read digits wrong, and each is down for a while: see
// services.go. What they do to a receipt follows from the seed alone.
//
// Where to read on: policies.go has everything that is decided about failures, pipeline.go the
// calls made under it, and truth.go the ledger that proves that nothing got lost on the way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// Exit codes. A receipt that failed, and is said to have failed, is no reason for exitWrong.
const (
	exitOK          = 0
	exitWrong       = 1 // a receipt got lost, came out twice or came out wrong
	exitUsage       = 2
	exitInterrupted = 130
)

// run is the program: progress goes to stderr, the report and the line of truth to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "receipts: %v\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	if cfg.export != "" || cfg.serve != "" {
		return forBatch(ctx, cfg, stdout, stderr)
	}
	j, err := newJob(cfg, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "receipts: %v\n", err)
		return exitWrong
	}
	defer j.close()
	j.announce(stdout)
	j.work(ctx)
	j.report(stdout)
	switch {
	case !j.ledger.tally().sound():
		return exitWrong
	case ctx.Err() != nil:
		return exitInterrupted
	}
	return exitOK
}
