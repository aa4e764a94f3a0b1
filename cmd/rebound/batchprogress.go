package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

// showBatch returns a function that shows the progress of a batch until stop is called. On a
// terminal it draws a bar, elsewhere it prints a line at each interval.
func showBatch(out io.Writer, every time.Duration) func(batch.Live) func() {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return func(t batch.Live) func() { return drawBatch(out, t) }
	}
	return func(t batch.Live) func() {
		return repeatedly(every, func() { fmt.Fprintln(out, batchLine(t.Progress())) })
	}
}

// repeatedly calls fn at each interval until stop is called. With an interval of 0 it never does.
func repeatedly(every time.Duration, fn func()) (stop func()) {
	if every <= 0 {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				fn()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func batchLine(p batch.Progress) string {
	text := fmt.Sprintf("%d of %d  %d failed  %d in flight  %d put off  %.1f/s", p.Ended, p.Rows,
		p.Failed, p.InFlight, p.Deferred, p.PerSecond)
	if p.Spent > 0 {
		text += fmt.Sprintf("  $%.2f", p.Spent)
	}
	switch {
	case p.Away > 0:
		text += fmt.Sprintf("  the service has been away for %v", p.Away.Round(time.Second))
	case p.Left > 0 && p.Ended < p.Rows:
		text += fmt.Sprintf("  about %v left", p.Left.Round(time.Second))
	}
	return text
}

func drawBatch(out io.Writer, t batch.Live) func() {
	bars := mpb.New(mpb.WithOutput(out), mpb.WithWidth(30))
	bar := bars.AddBar(int64(t.Progress().Rows),
		mpb.PrependDecorators(decor.Percentage(decor.WC{W: 5})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			return batchLine(t.Progress())
		})))
	stop := repeatedly(time.Second/5, func() { bar.SetCurrent(int64(t.Progress().Ended)) })
	return func() {
		stop()
		bar.SetCurrent(int64(t.Progress().Ended))
		bar.Abort(false)
		bars.Wait()
	}
}
