package reboundtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundtest"
)

// get returns the status and the body of an answer, or the error of either.
func get(ctx context.Context, url string) (status int, header http.Header, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

func TestSteps(t *testing.T) {
	late := reboundtest.Answer(200, "late")
	for _, test := range []struct {
		name   string
		step   reboundtest.Step
		leave  bool // the client does, once its request has arrived
		status int
		body   string
		err    error
	}{
		{name: "answer", step: reboundtest.Answer(200, "fine"), status: 200, body: "fine"},
		{name: "unavailable", step: reboundtest.Answer(503, ""), status: 503},
		{name: "cut body", step: reboundtest.CutBody("half of"), status: 200, body: "half of",
			err: io.ErrUnexpectedEOF},
		{name: "cut at once", step: reboundtest.CutBody(""), status: 200, err: io.ErrUnexpectedEOF},
		{name: "drop", step: reboundtest.Drop(), err: io.EOF},
		{name: "hang", step: reboundtest.Hang(), leave: true, err: context.Canceled},
		{name: "slow", step: reboundtest.Delay(time.Millisecond, late), status: 200, body: "late"},
		{name: "too slow", step: reboundtest.Delay(time.Hour, late), leave: true,
			err: context.Canceled},
		{name: "own", step: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}, status: 418},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			server := reboundtest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
				if test.leave {
					cancel()
				}
				test.step(w, r)
			})
			status, _, body, err := get(ctx, server.URL)
			if status != test.status || body != test.body || !errors.Is(err, test.err) {
				t.Errorf("got %d %q, %v, want %d %q, %v",
					status, body, err, test.status, test.body, test.err)
			}
			if n := len(server.Requests()); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestResetStep(t *testing.T) {
	server := reboundtest.NewServer(t, reboundtest.Reset())
	_, _, _, err := get(t.Context(), server.URL)
	if !fault.IsConnection(err) || errors.Is(err, io.EOF) {
		t.Errorf("error = %v, want that the connection was reset", err)
	}
}

func TestGarbage(t *testing.T) {
	server := reboundtest.NewServer(t, reboundtest.Garbage())
	_, _, _, err := get(t.Context(), server.URL)
	if err == nil || !strings.Contains(err.Error(), "malformed HTTP response") {
		t.Errorf("error = %v, want a malformed HTTP response", err)
	}
}

func TestServerPlaysItsScript(t *testing.T) {
	server := reboundtest.NewServer(t, reboundtest.Reset(),
		reboundtest.Answer(429, "slow down", "Retry-After", "2", "X-Limit", "a", "X-Limit", "b"),
		reboundtest.Answer(200, "fine"))
	want := []int{0, 429, 200, 200}
	for i, want := range want {
		status, header, _, err := get(t.Context(), server.URL)
		if status != want || (err != nil) != (want == 0) {
			t.Errorf("request %d: status %d, %v, want status %d", i+1, status, err, want)
		}
		if want != 429 {
			continue
		}
		if header.Get("Retry-After") != "2" || len(header.Values("X-Limit")) != 2 {
			t.Errorf("header = %v, want Retry-After and two times X-Limit", header)
		}
	}
	if n := len(server.Requests()); n != len(want) {
		t.Errorf("%d requests, want %d", n, len(want))
	}
}

func TestServerWithoutSteps(t *testing.T) {
	server := reboundtest.NewServer(t)
	if status, _, body, err := get(t.Context(), server.URL); status != 200 || body != "" {
		t.Errorf("got %d %q, %v, want 200 and no body", status, body, err)
	}
}

func TestRequests(t *testing.T) {
	before := time.Now()
	server := reboundtest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body) // which the server has read already
	})
	req, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, server.URL+"/orders?id=7", strings.NewReader("two apples"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", "k1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	echo, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	got := server.Requests()
	if len(got) != 1 {
		t.Fatalf("%d requests, want 1", len(got))
	}
	r := got[0]
	if r.Method != "POST" || r.URL != "/orders?id=7" || string(r.Body) != "two apples" ||
		r.Header.Get("Idempotency-Key") != "k1" || r.Time.Before(before) ||
		string(echo) != "two apples" {
		t.Errorf("request = %+v, echoed as %q", r, echo)
	}
}

// TestServerStops checks that a request that hangs does not outlive its test.
func TestServerStops(t *testing.T) {
	ended := make(chan error, 1)
	t.Run("hang", func(t *testing.T) {
		arrived := make(chan struct{})
		hang := reboundtest.Hang()
		server := reboundtest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			hang(w, r)
		})
		go func() {
			_, _, _, err := get(context.Background(), server.URL)
			ended <- err
		}()
		<-arrived
	})
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("a request that hung until the server stopped: %v, want EOF", err)
	}
}

func TestHeadersComeInPairs(t *testing.T) {
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, `["Retry-After"]`) {
			t.Errorf("panic = %q, want one that shows the headers", r)
		}
	}()
	header := strings.Fields("Retry-After")
	reboundtest.Answer(429, "", header...)
}
