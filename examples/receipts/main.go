// Receipts is a night's work for rebound: a few hundred scanned receipts go through two HTTP
// services that misbehave, and every receipt must come out right, exactly once.
//
//	go run ./examples/receipts
//	go run ./examples/receipts -no-retry     # the same night with one attempt per call
//	go run ./examples/receipts -seed 7 -receipts 100 -speed 80
//	go run ./examples/receipts -debug localhost:8080   # with a live page to watch it on
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
	"time"
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

// config is what the flags say.
type config struct {
	receipts int
	seed     uint64
	speed    speed
	noRetry  bool
	debug    string
}

// speed is how many times faster than life the night goes by: all that takes time here, waits,
// time-outs and cooldowns as well as the services' own pace, is written in life's seconds.
type speed float64

func (s speed) of(d time.Duration) time.Duration { return time.Duration(float64(d) / float64(s)) }

// Any faster, and a loopback request has no chance to keep to its time-out.
const minSpeed, maxSpeed = 0.01, 10_000

func parseFlags(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("receipts", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&c.receipts, "receipts", inTestdata, "receipts to process")
	flags.Uint64Var(&c.seed, "seed", 1, "what the services' misbehaviour follows from")
	flags.Float64Var((*float64)(&c.speed), "speed", 40, "divide all seconds by this")
	flags.BoolVar(&c.noRetry, "no-retry", false, "one attempt per call, to see the difference")
	flags.StringVar(&c.debug, "debug", "", "serve a live page at this `address` while it runs")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stderr, "usage: receipts [flags]")
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	switch {
	case err != nil:
		return c, err
	case flags.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q: flags are all it takes", flags.Arg(0))
	case c.receipts < 1 || c.receipts > inTestdata:
		return c, fmt.Errorf("-receipts is %d: want 1 to %d, which is how many there are",
			c.receipts, inTestdata)
	case !(c.speed >= minSpeed && c.speed <= maxSpeed):
		return c, fmt.Errorf("-speed is %v: want %v to %v", float64(c.speed), minSpeed, maxSpeed)
	}
	return c, nil
}
