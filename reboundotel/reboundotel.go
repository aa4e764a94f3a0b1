// Package reboundotel reports policies and breakers to OpenTelemetry: metrics of calls, retries,
// budgets and breakers, and traces of single calls. It uses the stable API alone; the program
// chooses the SDK and the exporters.
//
//	telemetry, err := reboundotel.New(reboundotel.Options{})
//	policy := &rebound.Policy{Name: "ocr", Observe: telemetry.Observe}
//	policy.Breaker = &breaker.Breaker{Name: "ocr", OnChange: telemetry.OnChange}
//	err = telemetry.Watch([]*rebound.Policy{policy})
//
//	text, err := reboundotel.Do(ctx, telemetry, policy, read) // rebound.Do, with a span
//
// The metrics, where the words in brackets are attributes:
//
//	rebound.call.duration        s          histogram  [policy outcome reason error.type]
//	rebound.call.attempts        {attempt}  histogram  [policy outcome]
//	rebound.call.retry_delay     s          histogram  [policy error.type]  one delay each
//	rebound.call.fallbacks       {call}     counter    [policy outcome]
//	rebound.budget.level         {token}    gauge      [policy]
//	rebound.budget.capacity      {token}    gauge      [policy]
//	rebound.breaker.state        {breaker}  gauge      [breaker state]  1 for the state it is in
//	rebound.breaker.transitions  {change}   counter    [breaker from to]
//
// Their full names begin with "rebound.", such as rebound.policy. They follow what gRPC has for its
// retries (gRFC A96: grpc.client.call.retries and retry_delay) and the semantic conventions: the
// kind of fault that ended a failed call, such as "transient", is in error.type. Attributes are
// bounded: the first 200 names of policies and of breakers are reported, and the others are called
// "_OTHER".
package reboundotel

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the tracer and the meter.
const scope = "github.com/rebound-go/rebound/reboundotel"

// Options are what [New] takes. The zero Options is ready.
type Options struct {
	// MeterProvider receives the metrics. Nil means the global one.
	MeterProvider metric.MeterProvider

	// TracerProvider receives the spans. Nil means the global one.
	TracerProvider trace.TracerProvider

	// AttemptSpans adds a span for each attempt, as a child of the call's. The spans of what the
	// attempt does are its children.
	AttemptSpans bool

	// ResendCount has the span of each attempt after the first carry http.request.resend_count,
	// for policies around HTTP requests whose own client does not.
	ResendCount bool
}

// Telemetry receives the events of policies and breakers. [New] makes one, for all policies and
// breakers of a program.
type Telemetry struct {
	options     Options
	tracer      trace.Tracer
	meter       metric.Meter
	instruments instruments
	policies    sets[string, policySets]
	breakers    names
}

// New makes the instruments. An error is the SDK's.
func New(o Options) (*Telemetry, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	t := &Telemetry{
		options: o, tracer: o.TracerProvider.Tracer(scope), meter: o.MeterProvider.Meter(scope),
	}
	return t, t.instruments.make(t.meter)
}
