package reboundgrpc

import "runtime"

// pausable is a function that pauses and continues later, for another caller. It runs only while a
// caller waits in resume. iter.Pull does the same, but ends the program if one of the callers is
// locked to its thread.
type pausable struct {
	turn   chan bool     // to the function: go on, or leave
	back   chan struct{} // from the function: it has paused, or is over
	over   bool
	exited bool // by a panic or a runtime.Goexit; only if over
	panic  any
}

// newPausable returns f, not yet started. If pause, the parameter of f, returns false, f should
// return.
func newPausable(f func(pause func() bool)) *pausable {
	p := &pausable{turn: make(chan bool), back: make(chan struct{})}
	go p.run(f)
	return p
}

func (p *pausable) run(f func(pause func() bool)) {
	// A panic must reach the goroutine of the caller, where a recover may wait for it.
	returned := false
	defer func() {
		if !returned {
			p.exited, p.panic = true, recover()
		}
		p.over = true
		p.back <- struct{}{}
	}()
	// A function that is left before its first turn never begins.
	if <-p.turn {
		f(func() bool {
			p.back <- struct{}{}
			return <-p.turn
		})
	}
	returned = true
}

// resume lets the function continue, and returns when it has paused or returned. A panic or Goexit
// of the function continues in the caller. A function that is over stays over. Only one goroutine
// may call resume at a time.
func (p *pausable) resume(on bool) {
	if p.over {
		return
	}
	// The channels are unbuffered, so each side waits while the other runs. No lock is needed for what
	// they share.
	p.turn <- on
	<-p.back
	switch {
	case p.panic != nil:
		panic(p.panic)
	case p.exited:
		runtime.Goexit()
	}
}
