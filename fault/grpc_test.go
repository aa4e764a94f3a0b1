package fault_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// rpcCode, rpcStatus and rpcError are like those of google.golang.org/grpc.
type rpcCode uint32

type rpcStatus struct {
	code    rpcCode
	details []any
}

func (s *rpcStatus) Code() rpcCode  { return s.code }
func (s *rpcStatus) Details() []any { return s.details }

type rpcError struct {
	status *rpcStatus
	text   string
}

func (e *rpcError) Error() string          { return "rpc error: " + e.text }
func (e *rpcError) GRPCStatus() *rpcStatus { return e.status }

func rpc(code rpcCode, details ...any) error { return &rpcError{&rpcStatus{code, details}, ""} }

// retryInfo, quotaFailure and their contents are like Google's messages.
type (
	protoDuration time.Duration
	retryInfo     struct{ wait time.Duration }
	violation     struct{ id, description string }
	quotaFailure  struct{ violations []*violation }
)

func (d *protoDuration) AsDuration() time.Duration  { return time.Duration(*d) }
func (r *retryInfo) GetRetryDelay() *protoDuration  { d := protoDuration(r.wait); return &d }
func (v *violation) GetQuotaId() string             { return v.id }
func (v *violation) GetDescription() string         { return v.description }
func (q *quotaFailure) GetViolations() []*violation { return q.violations }

// connectError is like connectrpc.com/connect's.
type connectError struct {
	code    rpcCode
	text    string
	details []*connectDetail
	meta    map[string][]string
	err     error
}

func (e *connectError) Error() string {
	return map[rpcCode]string{8: "resource_exhausted", 10: "aborted", 14: "unavailable"}[e.code] +
		": " + e.text
}
func (e *connectError) Unwrap() error             { return e.err }
func (e *connectError) Code() rpcCode             { return e.code }
func (e *connectError) Message() string           { return e.text }
func (e *connectError) Details() []*connectDetail { return e.details }
func (e *connectError) Meta() map[string][]string { return e.meta }

type connectDetail struct{ message any }

func (d *connectDetail) Value() (any, error) { return d.message, nil }

// coded32 has a code of a type of its own, as the errors of many programs have.
type coded32 struct{ code rpcCode }

func (e *coded32) Error() string { return "aborted: by the user" }
func (e *coded32) Code() rpcCode { return e.code }

// almostConnect has Connect's methods, but not its text.
type almostConnect struct{ connectError }

func (e *almostConnect) Error() string { return "10: aborted" }

func TestGRPC(t *testing.T) {
	check(t, []row{
		{"ok", rpc(0), unknown, maybe, ""},
		{"canceled", rpc(1), fault.Canceled, maybe, "grpc CANCELLED"},
		{"unknown", rpc(2), unknown, maybe, "grpc UNKNOWN"},
		{"invalid argument", rpc(3), permanent, notDone, ""},
		{"deadline", rpc(4), transient, maybe, "grpc DEADLINE_EXCEEDED"},
		{"not found", rpc(5), permanent, notDone, ""},
		{"already exists", rpc(6), permanent, notDone, ""},
		{"permission denied", rpc(7), permanent, notDone, ""},
		{"exhausted", rpc(8), fault.RateLimited, maybe, "grpc RESOURCE_EXHAUSTED"},
		{"failed precondition", rpc(9), permanent, notDone, ""},
		{"aborted", rpc(10), transient, notDone, "grpc ABORTED"},
		{"out of range", rpc(11), permanent, notDone, ""},
		{"unimplemented", rpc(12), permanent, notDone, ""},
		{"internal", rpc(13), unknown, maybe, "grpc INTERNAL"},
		{"internal, of a proxy", &rpcError{&rpcStatus{code: 13},
			"stream terminated by RST_STREAM with error code: NO_ERROR"}, transient, maybe, ""},
		{"internal, of a codec", &rpcError{&rpcStatus{code: 13},
			"grpc: error while marshaling: string field contains invalid UTF-8"}, permanent, maybe, ""},
		{"internal, of a reply", &rpcError{&rpcStatus{code: 13},
			"grpc: failed to unmarshal the received message: EOF"}, permanent, maybe, ""},
		{"internal, of a compressor", &rpcError{&rpcStatus{code: 13},
			`grpc: Compressor is not installed for requested grpc-encoding "br"`},
			permanent, maybe, ""},
		{"internal, of a decompressor", &rpcError{&rpcStatus{code: 13},
			`grpc: Decompressor is not installed for grpc-encoding "br"`}, permanent, maybe, ""},
		{"internal, without a codec", &rpcError{&rpcStatus{code: 13},
			"no codec registered for content-subtype br"}, permanent, maybe, ""},
		{"unavailable", rpc(14), transient, maybe, "grpc UNAVAILABLE"},
		{"data loss", rpc(15), permanent, maybe, ""},
		{"unauthenticated", rpc(16), permanent, notDone, "grpc UNAUTHENTICATED"},
		{"no code", rpc(17), unknown, maybe, ""},
		{"no status", &rpcError{}, unknown, maybe, ""},

		{"connect unavailable", &connectError{code: 14}, transient, maybe, ""},
		{"connect unavailable, never connected", &connectError{code: 14,
			err: get(dial(sys("connect", refusedErrno)))}, transient, notSent, "grpc UNAVAILABLE"},
		{"connect exhausted", &connectError{code: 8}, fault.RateLimited, maybe, ""},
		{"connect aborted", &connectError{code: 10, meta: http.Header{"Date": {"x"}}},
			transient, notDone, "grpc ABORTED"},
		{"connect aborted, with a detail", &connectError{code: 10,
			details: []*connectDetail{{&violation{}}}}, transient, notDone, "grpc ABORTED"},
		{"connect aborted by the client", &connectError{code: 10}, transient, maybe, "grpc ABORTED"},
		{"a custom code", &coded32{10}, unknown, maybe, ""},
		{"methods like Connect's", &almostConnect{connectError{code: 10}}, unknown, maybe, ""},
	})
}

func TestGRPCDetails(t *testing.T) {
	const rate = fault.RateLimited
	quota := func(id, text string) *quotaFailure {
		return &quotaFailure{[]*violation{{"", "x"}, {id, text}}}
	}
	for _, tc := range []struct {
		name  string
		err   error
		kind  fault.Kind
		after time.Duration
	}{
		{"wait", rpc(8, &retryInfo{53 * time.Second}), rate, 53 * time.Second},
		{"wait of another code", rpc(14, &retryInfo{time.Second}), transient, time.Second},
		{"negative wait", rpc(8, &retryInfo{-time.Second}), rate, 0},
		{"quota by the minute", rpc(8, quota("RequestsPerMinute", ""), &retryInfo{time.Second}),
			rate, time.Second},
		{"quota by the day", rpc(8, &retryInfo{time.Hour}, quota("RequestsPerDayPerProject", "")),
			permanent, time.Hour},
		{"daily quota", rpc(8, quota("", "Daily Limit for reads exceeded")), permanent, 0},
		{"nothing allowed", rpc(8, quota("", "limit: 0, model: x")), permanent, 0},
		{"little allowed", rpc(8, quota("", "limit: 0.5")), rate, 0},
		{"no quota", rpc(8, &quotaFailure{}), rate, 0},
		{"quota of another code", rpc(14, quota("PerDay", "")), transient, 0},
		{"strangers", rpc(8, nil, 7, "x", errors.New("x"), struct{}{}), rate, 0},
		{"connect", &connectError{code: 8, meta: map[string][]string{"Retry-After": {"7"}}},
			rate, 7 * time.Second},
	} {
		if f := fault.Of(tc.err); f.Kind != tc.kind || f.After != tc.after {
			t.Errorf("%s: %v after %v, want %v after %v", tc.name, f.Kind, f.After,
				tc.kind, tc.after)
		}
	}
}

// TestRPCExhausted: a client also returns this code for a reply that is too large for it.
func TestRPCExhausted(t *testing.T) {
	const limited = fault.RateLimited
	text := func(s string) error { return &rpcError{&rpcStatus{code: 8}, s} }
	second := &retryInfo{time.Second}
	quota := &quotaFailure{[]*violation{{"RequestsPerMinute", ""}}}
	day := &quotaFailure{[]*violation{{"RequestsPerDay", ""}}}
	check(t, []row{
		{"received", text("grpc: received message larger than max (7340041 vs. 4194304)"),
			permanent, maybe, "grpc RESOURCE_EXHAUSTED"},
		{"unpacked", text("grpc: received message after decompression larger than max 4194304"),
			permanent, maybe, ""},
		{"sent", text("grpc: trying to send message larger than max (5 vs. 4)"),
			permanent, maybe, ""},
		{"C", text("CLIENT: Sent message larger than max (5 vs. 4)"), permanent, maybe, ""},
		{"Java", text("gRPC message exceeds maximum size 4194304: 7340041"), permanent, maybe, ""},
		{"Node", text("Attempted to send message with a size larger than 4"), permanent, maybe, ""},
		{".NET", text("Received message exceeds the maximum configured message size."),
			permanent, maybe, ""},
		{"Connect", &connectError{code: 8, text: "message size 7 is larger than configured max 4"},
			permanent, maybe, ""},
		{"flow control", text("too many pings"), limited, maybe, ""},
		{"with a delay", rpc(8, second), limited, notDone, ""},
		{"with a quota", rpc(8, quota), limited, notDone, ""},
		{"with a quota of a day", rpc(8, day), permanent, notDone, ""},
		{"with another detail", rpc(8, &struct{}{}), limited, maybe, ""},
		{"Connect with a delay", &connectError{code: 8,
			meta: map[string][]string{"Retry-After": {"7"}}}, limited, notDone, ""},
		{"Connect with a detail", &connectError{code: 8, details: []*connectDetail{{second}}},
			limited, notDone, ""},
	})
}
