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
	// The names are part of the package's contract: dashboards and alerts refer to them.
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

// A metric with a series for each tenant or host would overload the backend. Names after the first
// maxNames are reported as other, which the semantic conventions reserve for remaining values.
const (
	maxNames = 200
	other    = "_OTHER"
)

// options are prepared attributes. To make them for every call would cost more than to record.
type options []metric.RecordOption

// with makes a set of the attributes. Without a set, each recording would sort them.
func with(attributes ...attribute.KeyValue) options {
	return options{metric.WithAttributeSet(attribute.NewSet(attributes...))}
}

// policySets are the attributes of a policy's measurements.
type policySets struct {
	policy                           attribute.KeyValue
	calls                            []metric.AddOption // of counts of calls
	success                          options            // for durations
	successAttempts, failureAttempts options
	failures                         sets[failure, options] // for durations
	retries                          sets[fault.Kind, options]
}

// failure is the key of a set of attributes for failed calls. There are few different keys.
type failure struct {
	reason    rebound.Reason
	errorType string
}

// newPolicySets makes the attributes of a policy once, so that an event allocates none. Those of
// failures are made when they are first needed, because most reasons and kinds never occur.
func newPolicySets(name string) *policySets {
	p := policyKey.String(valid(name))
	succeeded, failed := outcomeKey.String(outcome(true)), outcomeKey.String(outcome(false))
	return &policySets{
		policy: p, success: with(p, succeeded),
		calls:           []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(p))},
		successAttempts: with(p, succeeded), failureAttempts: with(p, failed),
	}
}

// valid returns text as valid UTF-8. Any other text would make the whole scrape or upload fail,
// including the metrics of other parts of the program.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// outcome returns the value of the attribute rebound.outcome. There are only two values, because
// the reason is another attribute.
func outcome(good bool) string {
	if good {
		return "success"
	}
	return "failure"
}

// retrying returns the attributes of a retry after a failure of kind k. There are as many sets as
// kinds.
func (p *policySets) retrying(k fault.Kind) options {
	return *p.retries.of(k, func(k fault.Kind) *options {
		o := with(p.policy, errorTypeKey.String(k.String()))
		return &o
	})
}

// failed returns the attributes of a failed call. There are at most as many sets as pairs of a
// reason and a kind.
func (p *policySets) failed(e rebound.Event) options {
	key := failure{e.Reason, errorType(e.Attempt, e.Fault, e.Reason)}
	return *p.failures.of(key, func(f failure) *options {
		o := with(p.policy, outcomeKey.String("failure"),
			reasonKey.String(string(f.reason)), errorTypeKey.String(f.errorType))
		return &o
	})
}

// errorType returns the kind of the last attempt's failure. It returns the reason if there was no
// attempt, or if the last attempt did not fail.
func errorType(attempts int, f fault.Fault, r rebound.Reason) string {
	if attempts == 0 || f.Kind == fault.None {
		return cmp.Or(string(r), other)
	}
	return f.Kind.String()
}

// sets holds one value for each of the first maxNames keys. Further keys share one value: that of
// other if keys are names, or that of the zero key. The zero sets is empty.
type sets[K comparable, V any] struct {
	known sync.Map // of K to *V
	count atomic.Int32
}

func (s *sets[K, V]) of(key K, make func(K) *V) *V {
	// The usual path takes no lock and allocates nothing.
	if v, ok := s.known.Load(key); ok {
		return v.(*V)
	}
	// The count may pass maxNames by a few while goroutines race, which does no harm.
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

// known holds the names that are reported as they are.
type known struct {
	policies                        sets[string, policySets]
	breakers, limits, hedges, gates names
}

// names are the reported names of breakers, of limits, of hedges or of gates.
type names struct{ sets[string, string] }

// admit returns the name under which an object is reported.
func (n *names) admit(name string) string {
	return *n.of(name, func(name string) *string {
		name = valid(name)
		return &name
	})
}
