package reboundredis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundredis"
)

// childOf is the variable with which this binary is started again, as a process of a fleet.
const childOf = "REBOUNDREDIS_CHILD_OF"

func TestMain(m *testing.M) {
	if addr := os.Getenv(killedOf); addr != "" {
		killed(addr)
		return
	}
	if addr := os.Getenv(childOf); addr != "" {
		child(addr)
		return
	}
	os.Exit(m.Run())
}

// child takes tokens with four goroutines until its input ends. It prints when, in µs.
func child(addr string) {
	client := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	r := closing(&reboundredis.Rate{
		Client: client, Key: "{fleet}", N: 100, Burst: 10, Wait: time.Minute,
	})
	for range 4 {
		go func() {
			for {
				if err := take(r); err != nil {
					fmt.Println(err)
					return
				}
				fmt.Println(time.Now().UnixMicro())
			}
		}()
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// process is a child, and when it has taken tokens.
type process struct {
	stop  io.Closer
	mu    sync.Mutex
	taken []int64
}

func startProcess(t *testing.T, addr string, wg *sync.WaitGroup) *process {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childOf+"="+addr)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{stop: in}
	wg.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			us, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				t.Error(lines.Text())
			}
			p.mu.Lock()
			p.taken = append(p.taken, us)
			p.mu.Unlock()
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestEightProcessesShareOneRate(t *testing.T) {
	s := start(t)
	var wg sync.WaitGroup
	var all []*process
	for range 8 {
		all = append(all, startProcess(t, s.Addr(), &wg))
	}
	for _, p := range all {
		s.await("every process to take some", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.taken) >= 8
		})
	}
	begin := time.Now().UnixMicro()
	<-time.After(4 * time.Second)
	for _, p := range all {
		p.stop.Close()
	}
	wg.Wait()
	var taken []int64
	for i, p := range all {
		before := len(taken)
		for _, at := range p.taken {
			if begin <= at {
				taken = append(taken, at)
			}
		}
		if len(taken) == before {
			t.Errorf("process %d took none", i)
		}
	}
	// A loaded machine may write some down late, so that one second has fewer and another has more.
	least, most := perSecond(taken)
	t.Logf("8 processes took %d to %d per second", least, most)
	if least > 110 || most < 90 {
		t.Errorf("8 processes took %d to %d per second, want 100 ± 10", least, most)
	}
}

// perSecond returns the least and the most that were taken in any second that begins with one.
func perSecond(taken []int64) (least, most int) {
	slices.Sort(taken)
	least = len(taken)
	for i, at := range taken {
		end, _ := slices.BinarySearch(taken, at+1e6)
		if end == len(taken) {
			break
		}
		least, most = min(least, end-i), max(most, end-i)
	}
	return least, most
}

// slow is a limit whose turns are a minute apart.
func slow(s *server, wait time.Duration) *reboundredis.Rate {
	return closing(&reboundredis.Rate{
		Client: s.client(), Key: "k", N: 1, Per: time.Minute, Wait: wait,
	})
}

// waiter is an attempt that waits.
type waiter struct {
	cancel context.CancelFunc
	err    chan error
}

func wait(t *testing.T, r *reboundredis.Rate) *waiter {
	t.Helper()
	before := r.Snapshot().Waiting
	ctx, cancel := context.WithCancelCause(t.Context())
	w := &waiter{func() { cancel(errLeft) }, make(chan error, 1)}
	go func() { w.err <- r.Take(ctx, 1) }()
	await(t, "an attempt to wait", func() bool {
		select {
		case err := <-w.err:
			t.Fatalf("the attempt did not wait: %v", err)
		default:
		}
		return r.Snapshot().Waiting == before+1
	})
	return w
}

var errLeft = errors.New("left")

func (w *waiter) leave(t *testing.T) {
	t.Helper()
	w.cancel()
	if err := <-w.err; err != errLeft {
		t.Errorf("a canceled wait returned %v, want the context's cause", err)
	}
}

// debt is the debt of the bucket in Redis.
func (s *server) debt() time.Duration {
	v, err := s.client().Get(context.Background(), "k").Result()
	if err != nil {
		s.tb.Fatal(err)
	}
	var tat, last int64
	if _, err := fmt.Sscanf(v, "%d %d", &tat, &last); err != nil {
		s.tb.Fatal(err)
	}
	return time.Duration(tat-time.Now().UnixMicro()) * time.Microsecond
}

// A wait is bounded by Wait and the deadline. Rejected attempts take nothing.
func TestWaitsAreBounded(t *testing.T) {
	s := start(t)
	r := slow(s, 90*time.Second)
	if err := take(r); err != nil {
		t.Fatal(err)
	}
	w := wait(t, r)
	debt := s.debt()
	if debt < time.Minute || debt > 2*time.Minute {
		t.Fatalf("the debt is %v, want that of two attempts", debt)
	}
	if err := take(r); !errors.Is(err, limit.ErrRate) {
		t.Errorf("beyond Wait: %v", err)
	}
	other := slow(s, time.Hour)
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	if err := other.Take(soon, 1); !errors.Is(err, limit.ErrRate) {
		t.Errorf("beyond the deadline: %v", err)
	}
	if got := s.debt(); got > debt {
		t.Errorf("rejections have raised the debt from %v to %v", debt, got)
	}
	w.leave(t)
}

// A canceled wait returns its turn to Redis if it is the last one.
func TestCanceledWaitGivesItsTurnBack(t *testing.T) {
	s := start(t)
	r := slow(s, time.Hour)
	if err := take(r); err != nil {
		t.Fatal(err)
	}
	waiters := []*waiter{wait(t, r), wait(t, r), wait(t, r)}
	for i, w := range slices.Backward(waiters) {
		w.leave(t)
		most := time.Duration(i+1) * time.Minute
		await(t, "the turn to be back", func() bool { return s.debt() <= most })
	}
	if err := take(slow(s, 0)); !errors.Is(err, limit.ErrRate) {
		t.Errorf("an attempt right after the first: %v", err)
	}
	if level := r.Snapshot().Level; level < -0.1 {
		t.Errorf("level %v: want none of the turns that are back", level)
	}
}

// Any other turn goes to the next attempt of the process. If the turns after it are returned, it is
// returned, too.
func TestCanceledWaitInTheMiddle(t *testing.T) {
	s := start(t)
	r, other := slow(s, time.Hour), slow(s, time.Hour)
	if err := take(r); err != nil {
		t.Fatal(err)
	}
	first, second := wait(t, r), wait(t, other)
	first.leave(t)
	// The third turn would be after the deadline.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	if err := other.Take(ctx, 1); !errors.Is(err, limit.ErrRate) {
		t.Errorf("an attempt of another process: %v", err)
	}
	ended := make(chan error, 1)
	await(t, "the freed turn to be taken", func() bool {
		go func() { ended <- r.Take(ctx, 1) }()
		for r.Snapshot().Waiting == 0 {
			select {
			case err := <-ended: // while the turn is offered to Redis
				return err == nil
			case <-time.After(time.Millisecond):
			}
		}
		return true
	})
	second.leave(t)
	await(t, "the last turn to be back", func() bool { return s.debt() <= 2*time.Minute })
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("got %v", err)
	}
	await(t, "both turns to be back", func() bool { return s.debt() <= time.Minute })
}

// Lost data in Redis is noticed within a second, even by rejected attempts.
func TestFlushedServer(t *testing.T) {
	s := start(t)
	r := slow(s, 0)
	for range 3 {
		if err := take(r); err != nil {
			t.Fatal(err)
		}
		if err := take(r); !errors.Is(err, limit.ErrRate) {
			t.Fatal(err)
		}
		s.do("SCRIPT", "FLUSH")
		s.do("FLUSHALL")
		await(t, "a full bucket", func() bool { return take(r) == nil })
		s.do("FLUSHALL")
		await(t, "a full bucket in a restarted server", func() bool { return r.Refusal(0) == nil })
	}
}

// If the clock is set back, no wait becomes longer. If it is set forward, the bucket fills up once.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{-24 * time.Hour, -time.Second, time.Hour} {
		s := start(t)
		now := time.Now().Add(-by).UnixMicro() // when the last booking was
		s.do("SET", "k", fmt.Sprintf("%d %d %d", now+2*time.Minute.Microseconds(), now, time.Minute))
		r := slow(s, 2*time.Hour)
		w := 2 * time.Minute
		if by > 0 {
			if err := take(r); err != nil {
				t.Fatal(err)
			}
			w = time.Minute
		}
		waiting := wait(t, r)
		if debt := s.debt(); debt > w+time.Minute || debt < w+time.Minute/2 {
			t.Errorf("after a leap by %v the debt is %v, want one attempt more than %v", by, debt, w)
		}
		waiting.leave(t)
	}
}

// Rejections do not ask Redis again and again.
func TestRejectionsAreCheap(t *testing.T) {
	s := start(t)
	r := slow(s, 0)
	for range 1000 {
		_ = take(r)
	}
	if n := s.scripts(); n > 100 {
		t.Errorf("1000 attempts ran %d scripts", n)
	}
	if got := r.Snapshot().Rejected; got != 999 {
		t.Errorf("%d rejections are counted, want 999", got)
	}
}

// scripts is how many scripts the server has run.
func (s *server) scripts() (n int) {
	info := s.client().InfoMap(context.Background(), "commandstats").Val()
	for _, name := range []string{"cmdstat_evalsha", "cmdstat_eval"} {
		var calls int
		_, _ = fmt.Sscanf(info["Commandstats"][name], "calls=%d", &calls)
		n += calls
	}
	return n
}

// A busy process leases turns, and the fleet still stays within its rate.
func TestLeases(t *testing.T) {
	s := start(t)
	const perSecond, most = 20_000, 10_000
	var taken atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range 2 {
		r := closing(&reboundredis.Rate{
			Client: s.client(), Key: "k", N: perSecond, Burst: 1, Wait: time.Minute,
		})
		for range 8 {
			wg.Go(func() {
				for taken.Add(1) <= most {
					if err := take(r); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	took := time.Since(begin).Seconds()
	if least := (most - 1.0 - perSecond/100) / perSecond; took < least {
		t.Errorf("%d attempts took %.3f s, want at least %.3f", most, took, least)
	}
	scripts := s.scripts()
	t.Logf("%d attempts in %.2f s ran %d scripts", most, took, scripts)
	if scripts > most/2 {
		t.Errorf("%d attempts ran %d scripts", most, scripts)
	}
}

// killedOf is as childOf, for a process that is killed.
const killedOf = "REBOUNDREDIS_KILLED_OF"

// killed leases turns of one limit, and waits for three of another.
func killed(addr string) {
	client := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	leases := closing(&reboundredis.Rate{Client: client, Key: "leased", N: 20_000, Wait: time.Minute})
	waits := closing(&reboundredis.Rate{
		Client: client, Key: "k", N: 1, Per: time.Minute, Wait: time.Hour,
	})
	for range 4 {
		go func() { _ = take(waits) }()
		go func() {
			for take(leases) == nil {
				continue
			}
		}()
	}
	for waits.Snapshot().Waiting < 3 {
		<-time.After(time.Millisecond)
	}
	fmt.Println("waits")
	select {}
}

// A killed process loses only the turns that it holds.
func TestKilledProcess(t *testing.T) {
	s := start(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedOf+"="+s.Addr())
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	v, _ := s.client().Get(t.Context(), "leased").Result()
	var tat, last int64
	if _, err := fmt.Sscanf(v, "%d %d", &tat, &last); err == nil &&
		time.Duration(tat-last)*time.Microsecond > 11*time.Millisecond {
		t.Errorf("the turns of %d µs were leased, want at most 10 ms", tat-last)
	}
	if d := s.debt(); d > 4*time.Minute || d < 4*time.Minute-soon {
		t.Errorf("the debt is %v, want that of four attempts", d)
	}
	other := slow(s, time.Hour)
	wait(t, other).leave(t)
	await(t, "the turn to be back", func() bool { return s.debt() <= 4*time.Minute })
}
