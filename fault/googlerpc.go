package fault

import (
	"reflect"
	"time"
)

// addDetails adds the meaning of the details of a google.rpc.Status: the delay, and whether a quota
// is used up that a retry cannot wait for. Details are protobuf messages, or the JSON objects that
// Google's HTTP clients decode.
func addDetails(f finding, details []any) finding {
	for _, d := range details {
		if d == nil {
			continue
		}
		if wait := retryDelay(d); wait > 0 {
			f.after = wait
		}
		f = serverWrote(f, isQuotaDetail(d))
		if f.kind == RateLimited && quotaSpent(d) {
			f = spend(f)
		}
	}
	return f
}

// serverWrote records that a RESOURCE_EXHAUSTED comes from a server that rejected the call, if
// proven is true. Clients make the same status themselves, for example for a message that is too
// large. So without a proof the call may have been carried out.
func serverWrote(f finding, proven bool) finding {
	if proven && f.kind == RateLimited {
		f.sent = NotDone
	}
	return f
}

// isQuotaDetail reports whether d is a google.rpc.RetryInfo or a google.rpc.QuotaFailure. Clients
// add neither, so such a detail proves that a server wrote the status.
func isQuotaDetail(d any) bool {
	v := reflect.ValueOf(d)
	return v.MethodByName("GetRetryDelay").IsValid() || v.MethodByName("GetViolations").IsValid()
}

// retryDelay is the delay in a google.rpc.RetryInfo, or 0 if d is something else. The method is
// called through reflection: importing the message types would pull protobuf into every program.
func retryDelay(d any) time.Duration {
	if object, ok := d.(map[string]any); ok {
		text, _ := object["retryDelay"].(string)
		wait, _ := parseDuration(text)
		return wait
	}
	m := reflect.ValueOf(d).MethodByName("GetRetryDelay")
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
		return 0
	}
	if delay, ok := m.Call(nil)[0].Interface().(interface{ AsDuration() time.Duration }); ok {
		return delay.AsDuration()
	}
	return 0
}

// quotaSpent reports whether d is a google.rpc.QuotaFailure of a quota that lasts a day or longer,
// or of a quota of zero. No delay helps against these.
func quotaSpent(d any) bool {
	if object, ok := d.(map[string]any); ok {
		violations, _ := object["violations"].([]any)
		for _, v := range violations {
			v, _ := v.(map[string]any)
			// Gemini names the period only in the id of the quota; other services only in the description.
			id, _ := v["quotaId"].(string)
			text, _ := v["description"].(string)
			if isLastingName(id) || isLastingName(text) || v["quotaValue"] == "0" {
				return true
			}
		}
		return false
	}
	m := reflect.ValueOf(d).MethodByName("GetViolations")
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
		return false
	}
	// The length is checked rather than trusted: any type may have a method of this name.
	violations := m.Call(nil)[0]
	for i := 0; violations.Kind() == reflect.Slice && i < violations.Len(); i++ {
		v := violations.Index(i).Interface()
		if q, ok := v.(interface{ GetQuotaId() string }); ok && isLastingName(q.GetQuotaId()) {
			return true
		}
		q, ok := v.(interface{ GetDescription() string })
		if ok && isLastingName(q.GetDescription()) {
			return true
		}
	}
	return false
}
