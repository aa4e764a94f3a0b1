package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progress shows on a terminal which policy is simulated, and the time so far. It appears after a
// second. The zero progress shows nothing.
type progress struct {
	bars *mpb.Progress
	bar  *mpb.Bar
	name atomic.Value // a string; the bar is drawn by another goroutine
}

// newProgress returns the progress of a number of runs.
func newProgress(out io.Writer, runs int) *progress {
	p := &progress{}
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	late := make(chan struct{})
	time.AfterFunc(time.Second, func() { close(late) })
	p.bars = mpb.New(mpb.WithOutput(out), mpb.WithRenderDelay(late), mpb.WithWidth(40))
	name := decor.Any(func(decor.Statistics) string {
		return fmt.Sprint(p.name.Load(), " ")
	})
	p.bar = p.bars.AddBar(int64(runs), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(name, decor.CountersNoUnit("%d of %d ")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	return p
}

func (p *progress) begin(name string) { p.name.Store(name) }

func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Increment()
	}
}

// end removes the bar.
func (p *progress) end() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}
