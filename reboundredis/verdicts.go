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

// Verdicts opens the circuit breakers of a fleet when that of one process opens. The others stay
// open for what is left of its cooldown, more or less, and then each probes for itself. A process
// that starts meanwhile begins with an open breaker.
//
//	verdicts := &reboundredis.Verdicts{Client: client, Key: "ocr"}
//	b := &breaker.Breaker{Name: "ocr", OnChange: verdicts.OnChange}
//	err := verdicts.Start(ctx, b)
//	defer verdicts.Close()
//
// Nothing of it is on a call's way. While Redis is gone every breaker goes on by itself.
//
// Only an opening of a closed breaker by its calls travels: not one by a failed probe, so that a
// process with a trouble of its own does not keep the others from the service, and not one that a
// method asked for. Nor can a process whose breaker opens again and again: a breaker is open at
// most a quarter of the time because of others, and Max more. A breaker that is forced or a Shadow
// neither sends nor obeys.
//
// Every breaker needs a Verdicts of its own, with the same Key in all processes. Client, Key and a
// call of Start are needed.
type Verdicts struct {
	Client redis.UniversalClient
	Key    string // the channel in Redis; the last opening is at Key + ":open"

	// Jitter makes the breakers of others stay open for up to this share longer or shorter, so that
	// the fleet does not probe in step. 0 = 0.1.
	Jitter float64

	// Max is the longest time for which others are obeyed. 0 = 1 min.
	Max time.Duration

	// OnError is called, on a goroutine of its own, when an opening could not be sent, or Redis
	// rejects the subscription. Nil = nothing is called.
	OnError func(error)

	work   sync.WaitGroup // the subscription, and what is being sent
	mu     sync.Mutex     // guards what follows
	around *breaker.Breaker
	ctx    context.Context // ends with Close; nil before Start
	stop   context.CancelFunc
	last   string // the opening that was sent or obeyed last

	left time.Duration // for which others are obeyed
	asOf time.Time     // of left
}

const (
	defaultJitter = 0.1
	defaultMax    = time.Minute
	shareOfOthers = 4 // one part in so many of the time is theirs

	mark = "opened " // begins the value of the key, before the name of the opening
	why  = "asked for"

	sending    = time.Second      // bounds one attempt to send an opening, or to look for one
	sendingAll = 10 * time.Second // bounds all attempts
	quiet      = 5 * time.Second  // of a subscription, before it is tested, and fails
	pause      = time.Second      // before the next subscription, on average
)

// Validate returns an error that names the first field that is missing, negative or out of range.
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

// Start obeys the last opening if it is not over, and those to come, until Close. It returns before
// it has subscribed to them, and it subscribes again when Redis was gone.
//
// It returns the error of Validate, or that of a second Start, or an [*Error] with which Redis
// rejected a command. It is no error that Redis is gone. The context is that of the first look.
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
		return fmt.Errorf("%s: the breaker of Start is nil", v.title())
	case v.ctx != nil:
		return fmt.Errorf("%s: started already", v.title())
	}
	v.around = b
	v.ctx, v.stop = context.WithCancel(context.Background())
	v.work.Go(func() { v.subscribe(v.ctx) })
	return nil
}

// Close ends what Start began, and gives up what is being sent. It waits for Redis for as long as
// the client's timeouts allow. A Verdicts cannot be started again.
func (v *Verdicts) Close() {
	v.mu.Lock()
	if v.stop != nil {
		v.stop() // no sending begins any more
	}
	v.mu.Unlock()
	v.work.Wait()
}

// OnChange is for the breaker's OnChange. It sends an opening without waiting for it. It does
// nothing before Start and after Close.
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

// send makes an opening known, unless it is over before.
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
		// In this order, as who gets the message looks at the key.
		if err := v.Client.Set(ctx, v.key(), mark+name, left).Err(); err != nil {
			return err
		}
		return v.Client.Publish(ctx, v.Key, name).Err()
	})
}

// subscribe looks at the key after each message, and at the beginning of each subscription.
func (v *Verdicts) subscribe(ctx context.Context) {
	for ctx.Err() == nil {
		if err := v.receive(ctx); !unavailable(v.Client, err) {
			v.report(err)
		}
		select { // a fleet must not come back at once
		case <-time.After(time.Duration((.5 + random.Float64()) * float64(pause))):
		case <-ctx.Done():
		}
	}
}

// receive is one subscription. It returns why it ended.
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

// look obeys the last opening.
func (v *Verdicts) look(ctx context.Context) error {
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

// obey opens the breaker for what is left of an opening, if it is another one than the last.
func (v *Verdicts) obey(value string, left time.Duration) {
	name, ours := strings.CutPrefix(value, mark)
	v.mu.Lock()
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
		jitter := cmp.Or(v.Jitter, defaultJitter) * (2*random.Float64() - 1)
		v.around.Trip(time.Duration((1 + jitter) * float64(left)))
	}
}

// allow returns how much of an opening of another is obeyed: none, rather than less than half.
// It is a bucket of Max, so that a process that opens again and again cannot keep the fleet from
// the service for good. In an outage each breaker stays open by its own probes.
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
