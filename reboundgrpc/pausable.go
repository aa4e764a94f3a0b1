package reboundgrpc

import "runtime"

// pausable is a function that pauses and goes on later, for another caller. It runs while a caller
// waits in resume, and at no other time. iter.Pull is the same, but it ends the program if one of
// the callers is locked to its thread.
type pausable struct {
	turn   chan bool     // to the function: go on, or leave
	back   chan struct{} // from the function: it has paused, or is over
	over   bool
	exited bool // by a panic or a runtime.Goexit; only if over
	panic  any
}

// newPausable returns f, not yet begun. The result of f's parameter pause is false if f should
// return.
func newPausable(f func(pause func() bool)) *pausable {
	p := &pausable{turn: make(chan bool), back: make(chan struct{})}
	go p.run(f)
	return p
}

func (p *pausable) run(f func(pause func() bool)) {
	returned := false
	defer func() {
		if !returned {
			p.exited, p.panic = true, recover()
		}
		p.over = true
		p.back <- struct{}{}
	}()
	if <-p.turn {
		f(func() bool {
			p.back <- struct{}{}
			return <-p.turn
		})
	}
	returned = true
}

// resume lets the function go on, and returns when it has paused or returned. The panic or
// Goexit of the function becomes that of the caller. A function that is over stays so. One
// goroutine may call resume at a time.
func (p *pausable) resume(on bool) {
	if p.over {
		return
	}
	// Unbuffered channels: either side waits while the other runs.
	p.turn <- on
	<-p.back
	switch {
	case p.panic != nil:
		panic(p.panic)
	case p.exited:
		runtime.Goexit()
	}
}
