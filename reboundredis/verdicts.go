package reboundredis

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	random "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// Verdicts opens the circuit breakers of a fleet when the breaker of one process opens. They stay
// open for about the rest of that breaker's cooldown. Then each breaker makes its own probe. A
// process that starts in the meantime begins with an open breaker.
//
//	verdicts := &reboundredis.Verdicts{Client: client, Key: "ocr"}
//	b := &breaker.Breaker{Name: "ocr", OnChange: verdicts.OnChange}
//	err := verdicts.Start(ctx, b)
//	defer verdicts.Close()
//
// No call waits for Redis. While Redis is unavailable, each breaker works by itself.
//
// One process with a local problem must not block the others:
//   - An opening is sent only if calls opened a closed breaker. An opening after a failed probe, or
//     by a method such as Trip, is not sent.
//   - Other processes can keep a breaker open for at most a quarter of the time, plus Max once.
//
// A breaker that is forced, or a Shadow, neither sends openings nor follows them.
//
// Each breaker needs its own Verdicts, with the same Key in all processes. Client and Key must be
// set, and Start must be called.
type Verdicts struct {
	Client redis.UniversalClient
	Key    string // the channel in Redis; the key Key + ":open" holds the last opening

	// Jitter lengthens or shortens the time that the breaker stays open because of others, by up to
	// this share. So the processes of a fleet do not probe at the same time. 0 = 0.1.
	Jitter float64

	// Max is the longest time that the breaker stays open because of one opening in another process,
	// before Jitter. 0 = 1 min.
	Max time.Duration

	// OnError is called on another goroutine when an opening could not be sent, or when Redis rejects
	// the subscription. Nil = none.
	OnError func(error)

	work   sync.WaitGroup // the goroutines that subscribe and send
	mu     sync.Mutex     // guards the fields below
	around *breaker.Breaker
	ctx    context.Context // ends with Close; nil before Start
	stop   context.CancelFunc
	last   string // the opening that was sent or followed last

	left time.Duration // the time for which openings of others may still be followed
	asOf time.Time     // of left
}

const (
	defaultJitter = 0.1
	defaultMax    = time.Minute
	shareOfOthers = 4 // others may open the breaker for 1/4 of the time

	mark = "opened " // the start of the key's value, before the name of the opening
	why  = "asked for"

	sending    = time.Second      // bounds one attempt to send or read an opening
	sendingAll = 10 * time.Second // bounds all attempts
	quiet      = 5 * time.Second  // silence of a subscription before a ping, and again before it fails
	pause      = time.Second      // the mean delay before the next subscription
)

// Validate returns an error that names the first invalid field and its valid values, or nil.
func (v *Verdicts) Validate() error {
	title := "reboundredis.Verdicts " + printable(v.Key)
	switch {
	case isNil(v.Client):
		return fmt.Errorf("%s: Client is nil: want a client of go-redis", title)
	case v.Key == "":
		return fmt.Errorf(`%s: Key is "": want a name`, title)
	case !(v.Jitter >= 0 && v.Jitter < 1):
		return fmt.Errorf("%s: Jitter is %v: want a share below 1, or 0 for 0.1", title, v.Jitter)
	case v.Max < 0:
		return fmt.Errorf("%s: Max is %v: want more than 0, or 0 for 1m", title, v.Max)
	}
	return nil
}

// Start begins to follow the openings of other processes, until Close. If the last opening is not
// over, the breaker follows it at once. Start does not wait for the subscription. If Redis becomes
// unavailable, the Verdicts subscribes again later.
//
// Start returns an error if a field is invalid, if b is nil, or after an earlier Start. It returns
// an [*Error] if Redis rejects a command. An unavailable Redis is not an error. ctx bounds the
// request for the last opening.
func (v *Verdicts) Start(ctx context.Context, b *breaker.Breaker) error {
	if err := v.Validate(); err != nil {
		return err
	}
	if err := v.begin(b); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sending)
	defer cancel()
	if err := v.look(ctx); err != nil && !unavailable(v.Client, err) {
		v.Close()
		return v.failed(err)
	}
	return nil
}

func (v *Verdicts) begin(b *breaker.Breaker) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case b == nil:
		return fmt.Errorf("%s: Start: b is nil: want the breaker that follows", v.title())
	case v.ctx != nil:
		return fmt.Errorf("%s: Start was called before: want one Verdicts for each Start", v.title())
	}
	v.around = b
	v.ctx, v.stop = context.WithCancel(context.Background())
	v.work.Go(func() { v.subscribe(v.ctx) })
	return nil
}

// Close ends the subscription, and cancels sending. It waits until both have ended, which the
// client's timeouts bound. A Verdicts cannot be started again.
func (v *Verdicts) Close() {
	v.mu.Lock()
	if v.stop != nil {
		v.stop() // from now on, OnChange does nothing
	}
	v.mu.Unlock()
	v.work.Wait()
}

// OnChange sends an opening in the background. Use it as the breaker's OnChange. It does nothing
// before Start and after Close.
func (v *Verdicts) OnChange(c breaker.Change) {
	if c.From != breaker.Closed || c.To != breaker.Open || c.Forced || c.Shadow || c.Why == why {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ctx == nil || v.ctx.Err() != nil {
		return
	}
	until := time.Now().Add(v.around.Snapshot().Remaining)
	name := rand.Text()
	v.last = name
	v.work.Go(func() { v.report(v.send(v.ctx, name, until)) })
}

// send publishes an opening. It gives up when the opening is over.
func (v *Verdicts) send(ctx context.Context, name string, until time.Time) error {
	p := &rebound.Policy{
		Name: "verdicts", AttemptTimeout: sending, MaxElapsed: sendingAll, Budget: budget.Unlimited,
		Attempts: rebound.Unlimited, RetryIf: func(f fault.Fault) bool {
			return unavailable(v.Client, f.Err)
		},
	}
	return rebound.Run(ctx, p, func(ctx context.Context) error {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		// The key is set first, because processes read it when they get the message.
		if err := v.Client.Set(ctx, v.key(), mark+name, left).Err(); err != nil {
			return err
		}
		return v.Client.Publish(ctx, v.Key, name).Err()
	})
}

// subscribe reads the key after each message, and at the start of each subscription, so that it
// misses no opening.
func (v *Verdicts) subscribe(ctx context.Context) {
	for ctx.Err() == nil {
		if err := v.receive(ctx); !unavailable(v.Client, err) {
			v.report(err)
		}
		select { // so that a fleet does not subscribe at the same time
		case <-time.After(time.Duration((.5 + random.Float64()) * float64(pause))):
		case <-ctx.Done():
		}
	}
}

// receive runs one subscription, and returns the error that ended it.
func (v *Verdicts) receive(ctx context.Context) error {
	s := v.Client.Subscribe(ctx)
	defer s.Close()
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Subscribe(ctx, v.Key); err != nil {
		return err
	}
	for tested := false; ; {
		got, err := s.ReceiveTimeout(ctx, quiet)
		switch {
		// A quiet connection may be broken. Then a ping gets no answer.
		case err != nil && isTimeout(err) && !tested && ctx.Err() == nil:
			tested = true
			if err := s.Ping(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		tested = false
		if _, pong := got.(*redis.Pong); !pong {
			if err := v.look(ctx); err != nil {
				return err
			}
		}
	}
}

// look reads the last opening, and follows it if there is one.
func (v *Verdicts) look(ctx context.Context) error {
	// Both are read in one round trip, so that the remaining time belongs to this opening.
	var value *redis.StringCmd
	var left *redis.DurationCmd
	_, err := v.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		value, left = p.Get(ctx, v.key()), p.PTTL(ctx, v.key())
		return nil
	})
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err == nil {
		v.obey(value.Val(), left.Val())
	}
	return err
}

// obey opens the breaker for the rest of an opening, unless the opening is known.
func (v *Verdicts) obey(value string, left time.Duration) {
	name, ours := strings.CutPrefix(value, mark)
	v.mu.Lock()
	// The sender of an opening also gets its message.
	known := v.last == name
	if ours {
		v.last = name
	}
	v.mu.Unlock()
	s := v.around.Snapshot()
	if !ours || known || s.State != breaker.Closed || s.Forced || s.Shadow {
		return
	}
	if left = v.allow(left); left > 0 {
		// The jitter is random, because all processes get the message at the same time.
		jitter := cmp.Or(v.Jitter, defaultJitter) * (2*random.Float64() - 1)
		v.around.Trip(time.Duration((1 + jitter) * float64(left)))
	}
}

// allow returns for how long an opening of another process is followed. If that would be less than
// half of the opening, it returns 0. It takes the time from a bucket that holds Max, so that one
// process cannot block the fleet for good. In a real outage, each breaker stays open because of its
// own probes.
func (v *Verdicts) allow(wanted time.Duration) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	most, now := cmp.Or(v.Max, defaultMax), time.Now()
	v.left, v.asOf = min(v.left+now.Sub(v.asOf)/shareOfOthers, most), now
	wanted = min(wanted, most)
	allowed := min(wanted, v.left)
	if allowed < wanted/2 {
		return 0
	}
	v.left -= allowed
	return allowed
}

func (v *Verdicts) report(err error) {
	if err != nil && v.OnError != nil && v.ctx.Err() == nil {
		v.OnError(v.failed(err))
	}
}

func (v *Verdicts) failed(err error) error {
	return &Error{Name: v.title(), Err: err}
}

func (v *Verdicts) key() string { return v.Key + ":open" }

func (v *Verdicts) title() string { return "verdicts " + printable(v.Key) }
