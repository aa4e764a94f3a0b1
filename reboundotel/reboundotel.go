// Package reboundotel reports to OpenTelemetry. It makes metrics of calls, retries, budgets,
// breakers, limits and hedges, and traces of single calls. It uses only the stable API. The program
// chooses the SDK and the exporters.
//
//	telemetry, err := reboundotel.New(reboundotel.Options{})
//	policy := &rebound.Policy{Name: "ocr", Observe: telemetry.Observe}
//	policy.Breaker = &breaker.Breaker{Name: "ocr", OnChange: telemetry.OnChange}
//	err = telemetry.Watch(reboundotel.Objects{Policies: []*rebound.Policy{policy}})
//
//	text, err := reboundotel.Do(ctx, telemetry, policy, read) // rebound.Do, with a span
//
// The metrics, with their attributes in brackets:
//
//	rebound.call.duration        s          histogram  [policy outcome reason error.type]
//	rebound.call.attempts        {attempt}  histogram  [policy outcome]
//	rebound.call.in_flight       {call}     up-down    [policy]  of calls by Do, Run and Start
//	rebound.call.waiting         {call}     up-down    [policy]  in a delay, of the same calls
//	rebound.call.rejections      {call}     counter    [policy gate.kind gate.name]
//	rebound.call.fallbacks       {call}     counter    [policy outcome]
//	rebound.retry.delay          s          histogram  [policy error.type]  one delay each
//	rebound.budget.level         {token}    gauge      [policy]
//	rebound.budget.capacity      {token}    gauge      [policy]
//	rebound.breaker.state        {breaker}  gauge      [breaker state]  breakers in that state
//	rebound.breaker.transitions  {change}   counter    [breaker from to]
//	rebound.breaker.rejected     {attempt}  counter    [breaker]
//	rebound.limit.in_flight      {attempt}  gauge      [limit.name limit.kind]
//	rebound.limit.waiting        {attempt}  gauge      [limit.name limit.kind]
//	rebound.limit.max            {permit}   gauge      [limit.name limit.kind]
//	rebound.limit.level          {permit}   gauge      [limit.name limit.kind]
//	rebound.limit.rejected       {attempt}  counter    [limit.name limit.kind]
//	rebound.hedge.calls          {call}     counter    [hedge]  that may be hedged
//	rebound.hedge.started        {attempt}  counter    [hedge]
//	rebound.hedge.won            {attempt}  counter    [hedge]
//	rebound.hedge.denied         {attempt}  counter    [hedge]
//	rebound.hedge.delay          s          gauge      [hedge]
//
// The full names of the attributes begin with "rebound.", such as rebound.policy. The exception is
// error.type, which is from the semantic conventions. It holds the kind of the last attempt's
// failure, such as "transient", or the reason of a call without attempts. A shadow breaker has the
// attribute rebound.breaker.shadow = true. rebound.retry.delay is the delay before one retry.
// gRPC's grpc.client.call.retry_delay (gRFC A96) is the sum over a call.
//
// The number of attribute values is bounded. The first 200 names each of policies, breakers,
// limits, hedges and gates are reported. Other objects are reported under the name "_OTHER".
package reboundotel

import (
	"runtime/debug"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the tracer and the meter. By convention it is the path of the module.
const scope = "github.com/rebound-go/rebound/reboundotel"

// schema is the version of the semantic conventions that define error.type and
// http.request.resend_count.
const schema = "https://opentelemetry.io/schemas/1.37.0"

// version returns the version of this module in the program, or "" if the program was built without
// modules.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	// In its own tests, this module is the main module.
	if info.Main.Path == scope {
		return info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == scope {
			return m.Version
		}
	}
	return ""
}

// Options configures a [Telemetry]. The zero Options is ready to use.
type Options struct {
	// MeterProvider provides the meter. Nil = the global provider.
	MeterProvider metric.MeterProvider

	// TracerProvider provides the tracer. Nil = the global provider.
	TracerProvider trace.TracerProvider

	// AttemptSpans adds a span for each attempt, as a child of the call's span. The spans that the
	// attempt starts are children of its span.
	AttemptSpans bool

	// ResendCount adds http.request.resend_count to the span of each attempt after the first. Use it
	// for HTTP requests if the client does not set this attribute.
	ResendCount bool
}

// Telemetry receives the events of policies and breakers. Make one Telemetry with [New] for the
// whole program. Goroutines may share it.
type Telemetry struct {
	options     Options
	tracer      trace.Tracer
	meter       metric.Meter
	instruments instruments
	known       known
	watched     watched
}

// New makes a Telemetry and its instruments. It returns the errors of the SDK, joined.
func New(o Options) (*Telemetry, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	v := version()
	t := &Telemetry{
		options: o,
		tracer: o.TracerProvider.Tracer(scope,
			trace.WithInstrumentationVersion(v), trace.WithSchemaURL(schema)),
		meter: o.MeterProvider.Meter(scope,
			metric.WithInstrumentationVersion(v), metric.WithSchemaURL(schema)),
	}
	return t, t.instruments.make(t.meter)
}
