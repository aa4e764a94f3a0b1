package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// report is the JSON that --report prints.
type report struct {
	Command   []string        `json:"command"`
	Policy    string          `json:"policy"`
	Succeeded bool            `json:"succeeded"`
	Reason    rebound.Reason  `json:"reason,omitempty"` // why there was no further attempt
	ExitCode  int             `json:"exit_code"`        // of rebound itself
	Elapsed   float64         `json:"elapsed_seconds"`
	Attempts  []attemptReport `json:"attempts"`
}

// attemptReport is one attempt.
type attemptReport struct {
	Attempt  int     `json:"attempt"`
	ExitCode int     `json:"exit_code"`
	Ended    string  `json:"ended"` // in words
	TimedOut bool    `json:"timed_out,omitempty"`
	Signal   string  `json:"signal,omitempty"` // that killed it
	Took     float64 `json:"took_seconds"`
	Wait     float64 `json:"wait_seconds"` // the delay after it
}

func (r *report) add(n int, res process.Result, v verdict, why string) {
	a := attemptReport{Attempt: n, ExitCode: res.Code, Ended: why, Took: res.Took.Seconds()}
	a.TimedOut = res.Cut != nil && res.Lost == nil && !errors.As(res.Cut, new(process.Stop))
	if res.Signal != 0 {
		a.Signal = process.Name(res.Signal)
	}
	r.Attempts = append(r.Attempts, a)
	r.Succeeded = v == succeeded
}

// wait records the delay after the last attempt.
func (r *report) wait(d time.Duration) { r.Attempts[len(r.Attempts)-1].Wait = d.Seconds() }

// writeReport prints the report if --report or --report-to is set.
func (j *job) writeReport(err error, code int, elapsed time.Duration) error {
	if j.reportTo == nil {
		return nil
	}
	r := &j.report
	r.ExitCode, r.Elapsed = code, elapsed.Seconds()
	var stopped *rebound.Error
	switch {
	case errors.As(err, &stopped):
		r.Reason = stopped.Reason
	case errors.As(err, new(*notReady)):
		r.Reason = rebound.PastElapsed
	case errors.As(err, new(process.Stop)):
		r.Reason = rebound.Canceled
	}
	return errors.Join(writeJSON(j.reportTo, r), j.reportTo.Close())
}

// reportWriter opens the file for the report. Without a path it returns stderr.
func reportWriter(path string, stderr io.Writer) (io.WriteCloser, error) {
	if path == "" {
		return leftOpen{stderr}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--report-to: %w", err)
	}
	return f, nil
}

// leftOpen is a writer whose Close does nothing.
type leftOpen struct{ io.Writer }

func (leftOpen) Close() error { return nil }
