package reboundgrpc

import "runtime"

// pausable runs a function that pauses, and continues for another caller. The function runs only
// while a caller waits in resume. iter.Pull does the same, but it ends the program if only some
// callers are locked to their threads.
type pausable struct {
	turn   chan bool     // to the function: true = continue, false = return
	back   chan struct{} // from the function: it has paused, or returned
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
	// resume repeats a panic on the caller's goroutine, so that the caller can recover it.
	returned := false
	defer func() {
		if !returned {
			p.exited, p.panic = true, recover()
		}
		p.over = true
		p.back <- struct{}{}
	}()
	// If the first resume is false, the function never begins.
	if <-p.turn {
		f(func() bool {
			p.back <- struct{}{}
			return <-p.turn
		})
	}
	returned = true
}

// resume lets the function continue, and waits until it pauses or returns. A panic or Goexit of the
// function continues in the caller. After the function has returned, resume does nothing. Only one
// goroutine may call resume at a time.
func (p *pausable) resume(on bool) {
	if p.over {
		return
	}
	// The channels are unbuffered, so each side waits while the other runs, and they need no lock.
	p.turn <- on
	<-p.back
	switch {
	case p.panic != nil:
		panic(p.panic)
	case p.exited:
		runtime.Goexit()
	}
}
