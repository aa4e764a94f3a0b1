package breaker_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
)

// model is a breaker as a person would explain it, without regard to speed or memory: it keeps
// every call in a list.
type model struct {
	cfg   *breaker.Breaker
	state breaker.State
	epoch int // changes so far, and probes given up

	calls   []counted     // closed: those that count
	row     int           // closed: failures in a row
	until   time.Duration // open
	probing int           // half-open, as all that follow
	passed  int
	last    time.Duration
	failed  int
	gaveUp  int
	grid    time.Duration // when a bucket began

	cooldowns           int // since it was closed last
	refused, refusedNow uint64
}

type counted struct {
	at           time.Duration
	failed, slow bool
}

// ticket is the model's pass.
type ticket struct {
	epoch int
	began time.Duration
}

// ignored is the ticket of a call that only a shadow admits.
var ignored = ticket{epoch: -1}

func (m *model) enter(now time.Duration) (ticket, bool) {
	tk, ok := m.admit(now)
	if ok {
		return tk, true
	}
	m.refused++
	m.refusedNow++
	return ignored, m.cfg.Shadow
}

func (m *model) admit(now time.Duration) (ticket, bool) {
	if m.state == breaker.Open && now >= m.until {
		m.state, m.probing, m.passed, m.failed, m.gaveUp = breaker.HalfOpen, 0, 0, 0, 0
		m.epoch++
	}
	switch m.state {
	case breaker.Open:
		return ticket{}, false
	case breaker.HalfOpen:
		if m.probing >= max(m.cfg.Probes, 1) {
			if now < m.last+m.cfg.Cooldown<<m.gaveUp {
				return ticket{}, false
			}
			m.probing, m.gaveUp = 0, min(m.gaveUp+1, 15)
			m.epoch++
		}
		m.probing++
		m.last = now
	}
	return ticket{m.epoch, now}, true
}

func (m *model) leave(now time.Duration, tk ticket, verdict rune) {
	slow := m.cfg.SlowRate > 0 && now-tk.began >= m.cfg.SlowAfter
	switch {
	case tk.epoch != m.epoch:
	case m.state == breaker.Closed && verdict != '-':
		m.count(now, counted{now, verdict == 'f', slow})
		if m.trips() {
			m.open(now)
		}
	case m.state == breaker.HalfOpen:
		m.probing--
		switch {
		case verdict == 'f' || verdict == 's' && slow:
			m.failed++
		case verdict == 's':
			m.passed++
		}
		m.probed(now, max(m.cfg.Probes, 1))
	}
}

// probed opens or closes a half-open breaker once enough probes have ended.
func (m *model) probed(now time.Duration, probes int) {
	ended := m.failed + m.passed
	switch {
	case m.cfg.Rate == 0 && m.failed > 0:
		m.open(now)
	case ended < probes:
	case m.failed > 0 && float64(m.failed)/float64(ended) >= m.cfg.Rate:
		m.open(now)
	default:
		*m = model{cfg: m.cfg, epoch: m.epoch + 1, grid: now,
			refused: m.refused, refusedNow: m.refusedNow}
	}
}

func (m *model) open(now time.Duration) {
	d := m.cfg.Cooldown
	for range m.cooldowns {
		d = max(d, min(2*d, m.cfg.MaxCooldown))
	}
	m.cooldowns++
	m.trip(now, d)
}

func (m *model) trip(now, d time.Duration) {
	if m.state != breaker.Open {
		m.refusedNow = 0
	}
	m.state, m.until, m.row = breaker.Open, now+d, 0
	m.epoch++
}

func (m *model) count(now time.Duration, c counted) {
	m.row++
	if !c.failed {
		m.row = 0
	}
	if m.cfg.WindowCalls > 0 {
		m.calls = append(m.calls, c)
		return
	}
	width := m.cfg.Window / 10
	if len(m.calls) == 0 && m.epoch == 0 || now-m.grid >= m.cfg.Window {
		m.grid = now
	}
	m.grid += (now - m.grid) / width * width
	m.calls = append(m.calls, c)
}

// inWindow goes through all calls so far.
func (m *model) inWindow() (calls, failed, slow float64) {
	for i, c := range m.calls {
		n := m.cfg.WindowCalls
		if n == 0 && c.at < m.grid-m.cfg.Window/10*9 || n > 0 && i < len(m.calls)-n {
			continue
		}
		calls++
		if c.failed {
			failed++
		}
		if c.slow {
			slow++
		}
	}
	return calls, failed, slow
}

func (m *model) trips() bool {
	row := m.cfg.Failures
	if row == 0 && m.cfg.Rate == 0 && m.cfg.SlowRate == 0 {
		row = 5
	}
	calls, failed, slow := m.inWindow()
	enough := calls >= float64(m.cfg.MinCalls)
	return row > 0 && m.row >= row ||
		enough && m.cfg.Rate > 0 && failed/calls >= m.cfg.Rate ||
		enough && m.cfg.SlowRate > 0 && slow/calls >= m.cfg.SlowRate
}

func (m *model) shows(now time.Duration) breaker.State {
	if m.state == breaker.Open && now >= m.until {
		return breaker.HalfOpen
	}
	return m.state
}

// now is the state, if possible by the method that changes nothing.
func (s subject) now(cfg *breaker.Breaker) breaker.State {
	if cfg.Shadow {
		return s.shows()
	}
	return s.state()
}

var verdicts = map[rune]gate.Outcome{'s': success, 'f': failure, '-': outcomes["limited"]}

// FuzzMachine plays the same random calls to a circuit.Machine and to the model.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0}, []byte("efefefefefe.....................e"))
	f.Add([]byte{0, 2, 2, 1}, []byte("esef.efefe...........eeeesss"))
	f.Add([]byte{2, 1, 1, 2}, []byte("e~es~s~f..e.~.~~.e.e.~.sse.f"))
	f.Add([]byte{2, 1, 1, 2, 7, 2}, []byte("e~es~s~f..e.~.~~.et.e.~.sse.f"))
	f.Fuzz(func(t *testing.T, c, ops []byte) {
		if len(c) >= 4 {
			cfg := configOf(c)
			compare(t, bare(cfg), cfg, ops)
		}
	})
}

// TestModel plays random calls to the model and to every form of a breaker. The calls fail and take
// time, so that every state occurs often.
func TestModel(t *testing.T) {
	t.Run("bare", func(t *testing.T) { compareMany(t, 3000, bare) })
	t.Run("breaker", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			compareMany(t, 1000, func(b *breaker.Breaker) subject { return shared(b) })
		})
	})
	t.Run("group", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			compareMany(t, 1000, func(b *breaker.Breaker) subject { return shared(keyOf(b)) })
		})
	})
}

func compareMany(t *testing.T, n int, form func(*breaker.Breaker) subject) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[breaker.State]int{}
	for range n {
		c := make([]byte, 6)
		for i := range c {
			c[i] = byte(rng.Uint32())
		}
		ops := make([]byte, 200)
		alphabet := []string{"eeeeefsSF-~", "eeefffFs~~.", "eeeesssSf_~.", "esesesesef~",
			"eeeeeesssffF~~..t"}[rng.IntN(5)]
		for i := range ops {
			ops[i] = alphabet[rng.IntN(len(alphabet))]
		}
		cfg := configOf(c)
		for s, n := range compare(t, form(cfg), cfg, ops) {
			seen[s] += n
		}
	}
	for s := breaker.Closed; s <= breaker.HalfOpen; s++ {
		if seen[s] < 5*n {
			t.Errorf("%v after %d operations, want that state at least %d times", s, seen[s], 5*n)
		}
	}
}

// oldestOrNewest is the verdict of an operation that ends a call, and that call's place.
func oldestOrNewest(op byte, under int) (verdict rune, place int) {
	if verdict, newest := map[byte]rune{'S': 's', 'F': 'f', '_': '-'}[op]; newest {
		return verdict, under - 1
	}
	return rune(op), 0
}

const tick = 100 * time.Millisecond

func configOf(c []byte) *breaker.Breaker {
	b := &breaker.Breaker{
		Failures: int(c[0] % 4), Rate: float64(c[1]%3) / 2, MinCalls: 1 + int(c[1]/3%5),
		SlowRate: float64(c[2]%3) / 2, SlowAfter: time.Duration(1+c[2]/3%8) * tick,
		Probes: int(c[3] % 4), Cooldown: time.Duration(1+c[3]/4%4) * 7 * tick,
		Window: time.Duration(1+c[0]/4%8) * 10 * tick,
	}
	if len(c) < 6 {
		return b
	}
	b.Shadow = c[4]%4 == 0
	if n := int(c[4] / 4 % 16); n > 0 && n < 10 {
		b.WindowCalls, b.Window = n, 0
		b.MinCalls = min(b.MinCalls, n)
	}
	if n := time.Duration(c[5] % 4); n > 0 {
		b.MaxCooldown = b.Cooldown + n*b.Cooldown*3/2
	}
	return b
}

// compare acts out ops: e begins a call; s, f and - end the oldest, and S, F and _ the newest, as
// a success, a failure, and neither; t trips for six ticks; ~ and . let one tick and ten pass,
// other bytes their number of tenths of a tick. It returns how often each state was seen.
func compare(
	t *testing.T, s subject, cfg *breaker.Breaker, ops []byte,
) map[breaker.State]int {
	type open struct {
		pass gate.Pass
		tk   ticket
	}
	var (
		seen  = map[breaker.State]int{}
		m     = model{cfg: cfg}
		now   time.Duration
		under []open
	)
	for i, op := range ops {
		var passed time.Duration
		switch op {
		case 'e':
			p, err := s.Enter(context.Background())
			tk, want := m.enter(now)
			if (err == nil) != want {
				t.Fatalf("%q at %v: rejection %v, want admitted = %v", ops[:i+1], now, err, want)
			}
			if want {
				under = append(under, open{p, tk})
			}
		case 's', 'f', '-', 'S', 'F', '_':
			if len(under) == 0 {
				continue
			}
			v, end := oldestOrNewest(op, len(under))
			s.Leave(under[end].pass, verdicts[v])
			m.leave(now, under[end].tk, v)
			under = slices.Delete(under, end, end+1)
		case 't':
			s.trip(6 * tick)
			m.trip(now, 6*tick)
		case '~':
			passed = tick
		case '.':
			passed = 10 * tick
		default:
			passed = time.Duration(op) * tick / 10
		}
		s.wait(passed)
		now += passed
		want := m.shows(now)
		if got := s.now(cfg); got != want {
			t.Fatalf("%q at %v: state %v, want %v (%+v)", ops[:i+1], now, got, want, m)
		}
		seen[want]++
		if s.refused == nil || i%8 != 0 {
			continue
		}
		if got, want := s.refused(), [2]uint64{m.refused, m.refusedNow}; got != want {
			t.Fatalf("%q at %v: rejected %d times, want %d", ops[:i+1], now, got, want)
		}
	}
	return seen
}
