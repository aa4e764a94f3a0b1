package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// config is what the flags say.
type config struct {
	receipts int
	seed     uint64
	speed    speed
	noRetry  bool
	debug    string
	export   string
	serve    string
}

// speed is how many times faster than life the night goes by: all that takes time here, waits,
// timeouts and cooldowns as well as the services' own pace, is written in life's seconds.
type speed float64

func (s speed) of(d time.Duration) time.Duration { return time.Duration(float64(d) / float64(s)) }

// Any faster, and a loopback request has no chance to keep to its timeout.
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
	flags.StringVar(&c.export, "export", "", "write the input of a batch to this `file`, and end")
	flags.StringVar(&c.serve, "serve", "", "serve OCR and vision at this `address` for a batch")
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
