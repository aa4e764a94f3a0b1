package reboundslog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rebound-go/rebound"
)

// maxPolicies bounds what is remembered. Policies beyond it, which there are only if names are made
// up for single calls, share one account.
const maxPolicies = 1000

// The account that is shared has a name which says so.
const others = "(others)"

// meter counts lines by policy and message, each in periods of its own.
type meter struct {
	mu       sync.Mutex // guards all below
	accounts map[account]*period
}

type account struct {
	policy string
	kind   rebound.EventKind
}

// period is an account's current one. It begins with a line; a timer is started only by the first
// line dropped in it, and ends it.
type period struct {
	began   time.Time
	lines   int
	dropped int
	timer   *time.Timer
}

// admit reports whether a line may be written, and counts it either way.
func (m *meter) admit(l *Logger, policy string, kind rebound.EventKind) bool {
	limit := l.lines()
	if limit < 0 {
		return true
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	a, p := m.account(policy, kind)
	if p.timer == nil && now.Sub(p.began) >= l.every() {
		p.began, p.lines = now, 0
	}
	if p.lines < limit {
		p.lines++
		return true
	}
	p.dropped++
	if p.timer == nil {
		p.timer = time.AfterFunc(l.every()-now.Sub(p.began), func() { m.end(l, a, p) })
	}
	return false
}

// account finds or opens an account. The caller holds m.mu.
func (m *meter) account(policy string, kind rebound.EventKind) (account, *period) {
	a := account{policy, kind}
	if p := m.accounts[a]; p != nil {
		return a, p
	}
	if len(m.accounts) >= maxPolicies {
		a.policy = others
	}
	p := m.accounts[a]
	if p == nil {
		p = new(period)
		if m.accounts == nil {
			m.accounts = make(map[account]*period)
		}
		m.accounts[a] = p
	}
	return a, p
}

// end ends an account's period, and tells how many lines were dropped in it.
func (m *meter) end(l *Logger, a account, p *period) {
	m.mu.Lock()
	n := p.dropped
	p.lines, p.dropped, p.began = 0, 0, time.Time{}
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	m.mu.Unlock()
	if n > 0 {
		l.tell(a, n)
	}
}

func (m *meter) flush(l *Logger) {
	m.mu.Lock()
	open := make(map[account]*period)
	for a, p := range m.accounts {
		if p.dropped > 0 {
			open[a] = p
		}
	}
	m.mu.Unlock()
	for a, p := range open {
		m.end(l, a, p)
	}
}

// tell writes the line about lines dropped, at the level that such events have.
func (l *Logger) tell(a account, n int) {
	ctx, h := context.Background(), l.handler()
	level := l.level(rebound.Event{Kind: a.kind, Policy: a.policy})
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(time.Now(), level, dropped, 0)
	r.AddAttrs(slog.String("policy", a.policy), slog.String("message", messages[a.kind]),
		slog.Int("dropped", n), slog.Duration("period", l.every()))
	_ = h.Handle(ctx, r)
}
