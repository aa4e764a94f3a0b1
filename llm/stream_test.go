package llm_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/llm"
)

// opened opens a service's replies as streams, and records the event that each continues from.
type opened struct {
	service
	from []string
}

func (o *opened) open(ctx context.Context, last string) (io.ReadCloser, error) {
	o.from = append(o.from, last)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://a", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := o.RoundTrip(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		return nil, response(resp.StatusCode, "")
	}
	return resp.Body, err
}

func open(replies ...reply) *opened { return &opened{service: service{replies: replies}} }

// listen reads a stream, and returns the data of its events.
func listen(ctx context.Context, s *llm.Stream) (data []string, err error) {
	for e, err := range s.Events(ctx) {
		if err != nil {
			return data, err
		}
		data = append(data, string(e.Data))
	}
	return data, nil
}

const (
	hi  = `{"choices": [{"delta": {"content": "Hi"}}]}`
	me  = `{"choices": [{"delta": {"role": "assistant"}}]}`
	end = "[DONE]"
)

func event(id, data string) string { return "id: " + id + "\ndata: " + data }

func TestStream(t *testing.T) {
	for _, row := range []struct {
		name    string
		replies []reply
		resumes bool
		calls   int
		data    string // joined by spaces
		err     error
		output  bool
		from    string // the IDs to go on after, joined by commas
	}{
		{"good", []reply{stream(role, hello, done)}, false, 1,
			role[6:] + " " + hello[6:] + " " + end, nil, false, ""},
		{"cut, then good", []reply{stream(role), stream(event("1", hi), done)}, false, 2,
			hi + " " + end, nil, false, ","},
		{"a status, then good", []reply{failing(503, ""), stream(event("1", hi), done)}, false, 2,
			hi + " " + end, nil, false, ","},
		{"cut for ever", []reply{stream(role)}, false, 3, "", io.ErrUnexpectedEOF, false, ",,"},
		{"refused for good", []reply{failing(401, "")}, false, 1, "", rebound.NotRetryable, false,
			""},
		{"cut after output", []reply{stream(event("1", hi))}, false, 1, hi, io.ErrUnexpectedEOF,
			true, ""},
		{"silence after output", []reply{stream(event("1", hi)).with(errHang)}, false, 1, hi,
			context.DeadlineExceeded, true, ""},
		{"goes on after output", []reply{stream(event("1", me), event("2", hi)),
			stream(event("3", hi), done)}, true, 2, me + " " + hi + " " + hi + " " + end, nil, false,
			",2"},
		{"what was held back is asked for again", []reply{stream(event("1", hi)),
			stream(event("2", me)), stream(event("2", me), event("3", hi), done)}, true, 3,
			hi + " " + me + " " + hi + " " + end, nil, false, ",1,1"},
		{"progress resets the count", []reply{stream(event("1", hi)), stream(), // 2 attempts
			stream(event("2", hi)), stream(), // and 3, as the break counts
			stream(event("3", hi), done)}, true, 5, hi + " " + hi + " " + hi + " " + end, nil,
			false, ",1,1,2,2"},
		{"nothing else does", []reply{stream(event("1", hi)), stream(event("2", me))}, true, 3,
			hi, rebound.Exhausted, false, ",1,1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := open(row.replies...)
			s := &llm.Stream{Open: o.open, Resumes: row.resumes, Policy: exactly(3)}
			data, err := listen(t.Context(), s)
			var broken *llm.StreamError
			output := errors.As(err, &broken) && broken.Output
			if o.calls != row.calls || strings.Join(data, " ") != row.data ||
				!errors.Is(err, row.err) || output != row.output ||
				strings.Join(o.from, ",") != row.from {
				t.Errorf("%s: got %d calls, %q, %v, output %t, from %q\nwant %d, %q, %v, %t, %q",
					row.name, o.calls, data, err, output, o.from,
					row.calls, row.data, row.err, row.output, row.from)
			}
			if opened := o.calls - strings.Count(row.name, "status") -
				strings.Count(row.name, "refused"); o.closed != opened {
				t.Errorf("%s: %d of %d bodies were closed", row.name, o.closed, opened)
			}
		})
	}
}

func exactly(attempts int) *rebound.Policy {
	return &rebound.Policy{Attempts: attempts, Backoff: backoff.Constant(time.Second),
		Throttled: backoff.Constant(time.Second), Classify: llm.Classify}
}

func TestStreamErrorEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(stream(said, crowded))
		data, err := listen(t.Context(), &llm.Stream{Open: o.open})
		var broken *llm.StreamError
		if len(data) != 1 || !errors.As(err, &broken) || broken.Event.Name != "error" ||
			!broken.Output || llm.Classify(err).Kind != overloaded {
			t.Errorf("got %q, %v, want one event, overloaded", data, err)
		}
	})
}

func TestStreamTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(stream(role).with(errHang), stream(role, hello, done))
		p := exactly(3)
		p.AttemptTimeout = 5 * time.Second
		begin := time.Now()
		_, err := listen(t.Context(), &llm.Stream{Open: o.open, Policy: p})
		if took := time.Since(begin); err != nil || took != 6*time.Second || o.closed != 2 {
			t.Errorf("took %v, %v, want 5s, a wait of 1s and no error", took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		o := open(stream(hello).with(errHang))
		p := exactly(3)
		p.AttemptTimeout = 5 * time.Second // is over when there is output
		begin := time.Now()
		_, err := listen(t.Context(), &llm.Stream{Open: o.open, Policy: p,
			IdleTimeout: time.Minute})
		if took := time.Since(begin); took != time.Minute || err == nil {
			t.Errorf("took %v, %v, want a minute", took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		o := open(stream(role).with(errHang))
		_, err := listen(ctx, &llm.Stream{Open: o.open, Policy: exactly(3)})
		if !errors.Is(err, rebound.Canceled) || o.calls != 1 || o.closed != 1 {
			t.Errorf("got %v after %d calls, want canceled after 1", err, o.calls)
		}
	})
}

// A loop that is left closes the stream.
func TestStreamBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(stream(hello, hello, done).with(errHang))
		for _, err := range (&llm.Stream{Open: o.open}).Events(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if o.closed != 1 {
			t.Errorf("%d bodies closed, want 1", o.closed)
		}
	})
}

func TestStreamInvalid(t *testing.T) {
	nothing := func(context.Context, string) (io.ReadCloser, error) { return nil, nil }
	for want, s := range map[string]*llm.Stream{
		"Open is nil":  {},
		"neither":      {Open: nothing, Policy: &rebound.Policy{Attempts: 1}},
		"IdleTimeout":  {Open: nothing, IdleTimeout: -1},
		"Attempts is ": {Open: nothing, Policy: &rebound.Policy{Attempts: -7}},
	} {
		if _, err := listen(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
