// Receipts is a batch job. It sends a few hundred scanned receipts through two HTTP services that
// often fail. Every receipt must get a correct result, or an error, exactly once.
//
//	go run ./examples/receipts
//	go run ./examples/receipts -no-retry     # the same with one attempt per call
//	go run ./examples/receipts -seed 7 -receipts 100 -speed 80
//	go run ./examples/receipts -debug localhost:8080   # with a live page
//	go run ./examples/receipts -export in.jsonl -serve localhost:7070   # for rebound batch
//
// First, an OCR service reads each receipt. The calls use the aggressive preset, a breaker (5
// failures, 60 s), and a local reader as the fallback. Then a vision service sorts it. These calls
// use the rate-limit preset and a breaker (3 failures, 120 s). While that breaker is open, sorting
// is skipped. Both services are HTTP servers on loopback. They answer 503, reset connections, hang,
// throttle with Retry-After, truncate answers and misread digits. Each also has an outage: see
// services.go. What happens to a request depends only on the seed, the receipt, and the number of
// earlier requests for it.
//
// To read on: policies.go has the policies, pipeline.go the calls that use them, and truth.go the
// ledger that counts lost and doubled receipts.
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

// Exit codes. A receipt that is reported as failed does not cause exitWrong.
const (
	exitOK          = 0
	exitWrong       = 1 // a receipt was lost, duplicated or wrong, or the program itself failed
	exitUsage       = 2
	exitInterrupted = 130
)

// run is the program. It writes the progress to stderr, and the report to stdout.
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
