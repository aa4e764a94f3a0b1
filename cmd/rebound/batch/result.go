package batch

import (
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/cmd/rebound/batch/results"
)

// line returns the line of a row that has ended, for the results or the errors.
func (b *batch) line(j *queue.Job, a *answer, v verdict) []byte {
	l := results.Line{ID: j.Row.ID, Name: b.key.Name(j.Row.ID), Attempts: j.Attempts + v.attempts,
		Seconds: v.seconds, Tokens: [2]float64{v.usage.Input, v.usage.Output}, Cost: v.cost}
	if a.resp != nil {
		id := b.secrets.Redact([]byte(results.RequestID(a.resp.Header)))
		l.Response = &results.Response{Status: a.resp.StatusCode, RequestID: string(id), Body: a.body}
	}
	if v.fate == gaveUp {
		b.addError(&l, a, v)
	}
	return l.Append(a.room)
}

// addError makes a line an error. The body may echo secrets, so they are redacted.
func (b *batch) addError(l *results.Line, a *answer, v verdict) {
	l.Error = &results.Error{Code: v.code, Message: v.why}
	if l.Response != nil {
		l.Response.Body = b.secretsOf(a).Redact(a.body)
	}
	switch {
	case v.code == codeInDoubt:
		l.Stopped = stoppedInDoubt
	case l.Attempts >= b.o.RowAttempts:
		l.Stopped = "exhausted"
	default:
		l.Stopped = "not retryable"
	}
}
