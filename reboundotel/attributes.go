package reboundotel

import (
	"cmp"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

const (
	policyKey    = attribute.Key("rebound.policy")
	outcomeKey   = attribute.Key("rebound.outcome")
	reasonKey    = attribute.Key("rebound.reason")
	errorTypeKey = attribute.Key("error.type")
	gateKindKey  = attribute.Key("rebound.gate.kind")
	gateNameKey  = attribute.Key("rebound.gate.name")
	limitNameKey = attribute.Key("rebound.limit.name")
	limitKindKey = attribute.Key("rebound.limit.kind")
	hedgeKey     = attribute.Key("rebound.hedge")
	breakerKey   = attribute.Key("rebound.breaker")
	shadowKey    = attribute.Key("rebound.breaker.shadow")
	stateKey     = attribute.Key("rebound.state")
	fromKey      = attribute.Key("rebound.from")
	toKey        = attribute.Key("rebound.to")
)

// Names beyond the first maxNames are called other, which the semantic conventions use for all
// remaining values.
const (
	maxNames = 200
	other    = "_OTHER"
)

// options are attributes, ready to be recorded with: making them anew for every call would cost
// more than recording.
type options []metric.RecordOption

func with(attributes ...attribute.KeyValue) options {
	return options{metric.WithAttributeSet(attribute.NewSet(attributes...))}
}

// policySets are the attributes of a policy's measurements.
type policySets struct {
	policy                           attribute.KeyValue
	calls                            []metric.AddOption // of counts of calls
	success                          options            // of durations
	successAttempts, failureAttempts options
	failures                         sets[failure, options] // of durations
	retries                          sets[fault.Kind, options]
}

// failure is the key of a set of attributes for failed calls. There are few.
type failure struct {
	reason    rebound.Reason
	errorType string
}

// newPolicySets makes the attributes of a policy once, so that an event allocates none. A failure's
// are made when they are first needed: most reasons and kinds never occur.
func newPolicySets(name string) *policySets {
	p := policyKey.String(valid(name))
	succeeded, failed := outcomeKey.String(outcome(true)), outcomeKey.String(outcome(false))
	return &policySets{
		policy: p, success: with(p, succeeded),
		calls:           []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(p))},
		successAttempts: with(p, succeeded), failureAttempts: with(p, failed),
	}
}

// valid is a text that can be exported. One that is no UTF-8 would fail the whole scrape or upload,
// and with it what other parts of the program report.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// outcome is the value of the attribute rebound.outcome.
func outcome(good bool) string {
	if good {
		return "success"
	}
	return "failure"
}

// retrying returns the attributes of a retry after a failure of kind k, which is bounded: there are
// as many sets as kinds.
func (p *policySets) retrying(k fault.Kind) options {
	return *p.retries.of(k, func(k fault.Kind) *options {
		o := with(p.policy, errorTypeKey.String(k.String()))
		return &o
	})
}

func (p *policySets) failed(e rebound.Event) options {
	key := failure{e.Reason, errorType(e.Attempt, e.Fault, e.Reason)}
	return *p.failures.of(key, func(f failure) *options {
		o := with(p.policy, outcomeKey.String("failure"),
			reasonKey.String(string(f.reason)), errorTypeKey.String(f.errorType))
		return &o
	})
}

// errorType is what ended a call: the kind of its last failure, or, if there was no attempt, or
// what it met is no failure, the reason.
func errorType(attempts int, f fault.Fault, r rebound.Reason) string {
	if attempts == 0 || f.Kind == fault.None {
		return cmp.Or(string(r), other)
	}
	return f.Kind.String()
}

// sets holds what was made for each of the first keys; those beyond share what is made for the
// zero key, or, if keys are names, for other. The zero sets is empty.
type sets[K comparable, V any] struct {
	known sync.Map // of K to *V
	count atomic.Int32
}

func (s *sets[K, V]) of(key K, make func(K) *V) *V {
	if v, ok := s.known.Load(key); ok {
		return v.(*V)
	}
	if s.count.Load() >= maxNames {
		var spare K
		if name, ok := any(&spare).(*string); ok {
			*name = other
		}
		if key != spare {
			return s.of(spare, make)
		}
	}
	v, loaded := s.known.LoadOrStore(key, make(key))
	if !loaded {
		s.count.Add(1)
	}
	return v.(*V)
}

// known is what is known by name.
type known struct {
	policies                        sets[string, policySets]
	breakers, limits, hedges, gates names
}

// names are the names of breakers, or of limits, or of gates, that are reported.
type names struct{ sets[string, string] }

func (n *names) admit(name string) string {
	return *n.of(name, func(name string) *string {
		name = valid(name)
		return &name
	})
}
