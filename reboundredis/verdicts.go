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

// Verdicts opens the circuit breakers of a fleet when the breaker of one process opens. The others
// stay open for about the rest of its cooldown, and then each probes for itself. A process that
// starts in the meantime begins with an open breaker.
//
//	verdicts := &reboundredis.Verdicts{Client: client, Key: "ocr"}
//	b := &breaker.Breaker{Name: "ocr", OnChange: verdicts.OnChange}
//	err := verdicts.Start(ctx, b)
//	defer verdicts.Close()
//
// No call waits for Redis. While Redis is unavailable, every breaker works by itself.
//
// Only the opening of a closed breaker by its calls is sent. An opening after a failed probe is
// not, so that a process with a problem of its own does not keep the others from the service. Nor
// is an opening that a method asked for. A process whose breaker opens again and again cannot do so
// either: because of others, a breaker is open at most a quarter of the time, and Max in addition.
// A breaker that is forced, or a Shadow, neither sends nor follows.
//
// Every breaker needs a Verdicts of its own, with the same Key in all processes. Client and Key
// must be set, and Start must be called.
type Verdicts struct {
	Client redis.UniversalClient
	Key    string // the channel in Redis; the last opening is at Key + ":open"

	// Jitter lengthens or shortens the time that breakers stay open because of others, by up to this
	// share, so that the fleet does not probe at the same time. 0 = 0.1.
	Jitter float64

	// Max is the longest time that the breaker stays open because of one opening elsewhere. 0 = 1 min.
	Max time.Duration

	// OnError is called, on a goroutine of its own, when an opening could not be sent, or when Redis
	// rejects the subscription. Nil = none.
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

// Validate returns an error that names the first field that is missing, negative or out of range;
// or nil.
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

// Start follows the last opening if it is not over, and all further ones, until Close. It returns
// before it has subscribed, and it subscribes again after Redis was unavailable.
//
// It returns the error of Validate, the error of a second Start, or an [*Error] with which Redis
// rejected a command. An unavailable Redis is not an error. ctx bounds the look at the last
// opening.
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

// Close ends what Start began, and gives up sending. It waits for Redis as long as the client's
// timeouts allow. A Verdicts cannot be started again.
func (v *Verdicts) Close() {
	v.mu.Lock()
	if v.stop != nil {
		v.stop() // no sending begins any more
	}
	v.mu.Unlock()
	v.work.Wait()
}

// OnChange sends an opening, without waiting for that. Use it as the breaker's OnChange. It does
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

// send publishes an opening, unless it is over before.
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
		// In this order, because processes that get the message then read the key.
		if err := v.Client.Set(ctx, v.key(), mark+name, left).Err(); err != nil {
			return err
		}
		return v.Client.Publish(ctx, v.Key, name).Err()
	})
}

// subscribe reads the key after each message, and at the start of each subscription, so that no
// opening is missed in between.
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

// receive runs one subscription, and returns why it ended.
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
		// A quiet connection may be dead. A ping that is not answered in time shows that.
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

// look follows the last opening, if there is one.
func (v *Verdicts) look(ctx context.Context) error {
	// One round trip for both, so that the rest of the time belongs to this opening.
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

// obey opens the breaker for the rest of an opening, unless that was the last one already.
func (v *Verdicts) obey(value string, left time.Duration) {
	name, ours := strings.CutPrefix(value, mark)
	v.mu.Lock()
	// The message of an opening comes to its sender as well.
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
		// A random number to either side, since all processes get the message at once.
		jitter := cmp.Or(v.Jitter, defaultJitter) * (2*random.Float64() - 1)
		v.around.Trip(time.Duration((1 + jitter) * float64(left)))
	}
}

// allow returns how much of an opening elsewhere is followed: none, rather than less than half. It
// is a bucket of Max, so that a process that opens again and again cannot keep the fleet from the
// service for good. In an outage each breaker stays open because of its own probes.
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
