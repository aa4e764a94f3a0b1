package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/watch"
	"github.com/rebound-go/rebound/cmd/rebound/process"
	"github.com/rebound-go/rebound/llm"
)

// watch serves the page and the metrics of a batch. It also sets f.o.Progress, which calls show.
func (f *batchFlags) watch(
	c *cobra.Command, show func(batch.Live) func(),
) (stop func(), err error) {
	w := &watch.Watch{GivenRequests: f.o.Requests > 0, GivenTokens: f.o.Tokens > 0}
	f.o.Progress = func(live batch.Live) func() {
		w.Begin(live)
		return show(live)
	}
	closePage, closeMetrics := func() {}, func() {}
	if f.debug != "" {
		f.o.Client = func(_ *llm.Quota, p *rebound.Policy) { w.Observe(p) }
		if closePage, err = serveSide(c, "debug", f.debug, "/", w.Page()); err != nil {
			return nil, err
		}
	}
	if f.metrics != "" {
		closeMetrics, err = serveSide(c, "metrics", f.metrics, "/metrics", w.Metrics())
		if err != nil {
			closePage()
			return nil, err
		}
	}
	return func() {
		closePage()
		closeMetrics()
	}, nil
}

// signals passes SIGINT and SIGTERM to the batch until stop is called.
func (f *batchFlags) signals() (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	passed := make(chan batch.Signal, 3)
	go func() {
		for s := range signals {
			number, _ := s.(syscall.Signal)
			passed <- batch.Signal{Name: s.String(), Number: int(number)}
		}
	}()
	f.o.Signals = passed
	process.FailWrites()
	if o, ok := f.o.Stdout.(*checkedOutput); ok {
		f.o.Stdout = o.Writer // what cannot be written is reported here
	}
	f.o.Stdout = pipe{f.o.Stdout, sync.OnceFunc(func() {
		passed <- batch.Signal{Name: "standard output is closed", Number: int(syscall.SIGPIPE)}
	})}
	return func() { signal.Stop(signals) }
}

// pipe is standard output. If it is closed, the batch stops as after a signal, and rows under way
// end: SIGPIPE would leave them in doubt.
type pipe struct {
	io.Writer
	closed func()
}

func (p pipe) Write(data []byte) (int, error) {
	n, err := p.Writer.Write(data)
	if !errors.Is(err, syscall.EPIPE) {
		return n, err
	}
	p.closed()
	return len(data), nil
}

// report prints the report, and writes it to --report. Its error has the exit code, unless that is
// 0.
func (f *batchFlags) report(c *cobra.Command, summary batch.Summary, code int) error {
	err := summary.Write(c.ErrOrStderr())
	if f.o.Report != "" {
		err = errors.Join(err, summary.WriteJSON(f.o.Report))
	}
	if err != nil {
		return ownError{err}
	}
	if code != 0 {
		return exited(code)
	}
	return nil
}
