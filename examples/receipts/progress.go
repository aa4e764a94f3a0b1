package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows the status of the job. On a terminal it redraws a line, elsewhere it prints a line
// every two seconds. logf prints other lines in between.
type progress struct {
	w      io.Writer
	live   bool
	status func() string
	begin  time.Time

	mu    sync.Mutex
	quit  chan struct{}
	ended sync.WaitGroup
}

func newProgress(w io.Writer, status func() string) *progress {
	return &progress{
		w: w, live: isTerminal(w), status: status, begin: time.Now(), quit: make(chan struct{}),
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// start shows the status at intervals, until stop is called.
func (p *progress) start() {
	every := 2 * time.Second
	if p.live {
		every = 100 * time.Millisecond
	}
	p.ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.show(p.status())
			case <-p.quit:
				return
			}
		}
	})
}

// stop shows the status one last time.
func (p *progress) stop() {
	close(p.quit)
	p.ended.Wait()
	p.show(p.status())
	if p.live {
		fmt.Fprintln(p.w)
	}
}

const eraseLine = "\r\x1b[K"

func (p *progress) show(status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(p.w, eraseLine, status)
		return
	}
	fmt.Fprintf(p.w, "%s  %s\n", p.clock(), status)
}

// logf writes a line that stays.
func (p *progress) logf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(p.w, eraseLine)
	}
	fmt.Fprintf(p.w, "%s  %s\n", p.clock(), fmt.Sprintf(format, args...))
}

func (p *progress) clock() string { return fmt.Sprintf("%5.1fs", time.Since(p.begin).Seconds()) }

// bar draws the share of done in all.
func bar(done, all int) string {
	const width = 20
	n := width * done / max(all, 1)
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", width-n) + "]"
}
