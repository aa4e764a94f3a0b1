package reboundslog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/hedge"
)

// maxAccounts bounds the memory of a meter. Further policies share one account. So many names exist
// only if a program makes names for single calls.
const maxAccounts = 1000

// others is the name of the shared account. The parentheses set it apart from the names of
// policies.
const others = "(others)"

// meter counts lines by policy or hedge, and by kind of event. Each pair has its own period.
type meter struct {
	mu       sync.Mutex // guards all below
	accounts map[account]*period
}

// account is the key of a count: a kind of event of one policy or hedge.
type account struct {
	hedge bool   // of a hedge, not of a policy
	name  string // of the policy or hedge
	kind  string // of the event
}

// message returns the message of the lines that the account counts.
func (a account) message() string {
	if a.hedge {
		return "rebound: hedge " + a.kind
	}
	return messages[rebound.EventKind(a.kind)]
}

// level returns the level for the line about dropped lines: the level of an event of this kind.
func (a account) level(l *Logger) slog.Level {
	switch {
	case !a.hedge:
		return l.level(rebound.Event{Kind: rebound.EventKind(a.kind), Policy: a.name})
	case a.kind == string(hedge.Denied):
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// period is the current period of an account. It begins with a line. The first dropped line starts
// a timer, which ends the period. Without dropped lines no timer is needed.
type period struct {
	began   time.Time
	lines   int
	dropped int
	timer   *time.Timer
}

// admit reports whether a line may be written, and counts it either way.
func (m *meter) admit(l *Logger, a account) bool {
	limit := l.lines()
	if limit < 0 {
		return true
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	// The result may be the shared account.
	a, p := m.account(a)
	// While a timer runs, only the timer ends the period, because it reports the dropped lines.
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

// account returns the account in use for a, and its period. It makes one if there is none. The
// caller holds m.mu.
func (m *meter) account(a account) (account, *period) {
	if p := m.accounts[a]; p != nil {
		return a, p
	}
	if len(m.accounts) >= maxAccounts {
		a.name = others
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

// end ends an account's period, and logs how many lines were dropped in it. It logs without the
// lock, because a handler may be slow, or may itself use a policy that is logged here.
func (m *meter) end(l *Logger, a account, p *period) {
	m.mu.Lock()
	n := p.dropped
	p.lines, p.dropped, p.began = 0, 0, time.Time{}
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	m.mu.Unlock()
	// If Flush runs just before the timer fires, nothing is left to report.
	if n > 0 {
		l.logDropped(a, n)
	}
}

// flush ends all periods with dropped lines.
func (m *meter) flush(l *Logger) {
	m.mu.Lock()
	// end takes the lock itself, so the periods are collected first.
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

// logDropped writes the line about dropped lines, at the level of those lines.
func (l *Logger) logDropped(a account, n int) {
	ctx, h := context.Background(), l.handler()
	level := a.level(l)
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(time.Now(), level, dropped, 0)
	whose := "policy"
	if a.hedge {
		whose = "hedge"
	}
	r.AddAttrs(slog.String(whose, a.name), slog.String("message", a.message()),
		slog.Int("dropped", n), slog.Duration("period", l.every()))
	_ = h.Handle(ctx, r)
}
