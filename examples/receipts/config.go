package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// config has the values of the flags.
type config struct {
	receipts int
	seed     uint64
	speed    speed
	noRetry  bool
	debug    string
	export   string
	serve    string
}

// speed is how many times faster than real time the program runs. All times in its code are for
// speed 1: delays, timeouts, cooldowns and the services' response times.
type speed float64

func (s speed) of(d time.Duration) time.Duration { return time.Duration(float64(d) / float64(s)) }

// At a higher speed, a request over loopback could not meet its timeout.
const minSpeed, maxSpeed = 0.01, 10_000

func parseFlags(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("receipts", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&c.receipts, "receipts", inTestdata, "receipts to process")
	flags.Uint64Var(&c.seed, "seed", 1, "seed of the services' failures")
	flags.Float64Var((*float64)(&c.speed), "speed", 40, "divide all times by this")
	flags.BoolVar(&c.noRetry, "no-retry", false, "make one attempt per call, for comparison")
	flags.StringVar(&c.debug, "debug", "", "serve a live page at this `address` while it runs")
	flags.StringVar(&c.export, "export", "", "write the input of a batch to this `file`")
	flags.StringVar(&c.serve, "serve", "", "serve OCR and vision at this `address`, for a batch")
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
		return c, fmt.Errorf("unexpected argument %q: want only flags", flags.Arg(0))
	case c.receipts < 1 || c.receipts > inTestdata:
		return c, fmt.Errorf("-receipts is %d: want 1 to %d, the number in testdata",
			c.receipts, inTestdata)
	case !(c.speed >= minSpeed && c.speed <= maxSpeed):
		return c, fmt.Errorf("-speed is %v: want %v to %v", float64(c.speed), minSpeed, maxSpeed)
	}
	return c, nil
}
