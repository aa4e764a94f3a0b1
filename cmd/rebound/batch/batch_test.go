package batch

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

// bench runs the batch of a test, once or several times, against its own server.
type bench struct {
	t   *testing.T
	o   Options
	dir string

	mu    sync.Mutex
	calls map[string]int // of each row
}

// newBench returns a bench whose server answers each row, by its id, with what answer writes. A
// row's body is {"row": id}, and may have more.
func newBench(
	t *testing.T, answer func(w http.ResponseWriter, req *http.Request, id string, nth int),
) *bench {
	b := &bench{t: t, dir: t.TempDir(), calls: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var body struct {
			Row string `json:"row"`
		}
		data, _ := io.ReadAll(req.Body)
		_ = json.Unmarshal(data, &body)
		b.mu.Lock()
		b.calls[body.Row]++
		nth := b.calls[body.Row]
		b.mu.Unlock()
		answer(w, req, body.Row, nth)
	}))
	t.Cleanup(server.Close)
	base, _ := url.Parse(server.URL)
	b.o = Options{
		Input: filepath.Join(b.dir, "in.jsonl"), Output: filepath.Join(b.dir, "out.jsonl"),
		Base: base, Policy: quick(), Crash: true, Stdout: io.Discard, First: -1,
		Command: []string{"again"},
	}
	return b
}

// quick is a policy of two attempts with almost no delay.
func quick() *rebound.Policy {
	return &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(time.Millisecond)}
}

const generation = "/v1/chat/completions"

// rows writes the input: rows r1 to rN, with more in each body.
func (b *bench) rows(n int, path, more string) {
	var text strings.Builder
	for i := 1; i <= n; i++ {
		text.WriteString(rowLine(fmt.Sprintf("r%d", i), path, more))
	}
	b.write(text.String())
}

func rowLine(id, path, more string) string {
	return fmt.Sprintf("{\"custom_id\":%q,\"url\":%q,\"body\":{\"row\":%q%s}}\n", id, path, id, more)
}

func (b *bench) write(input string) {
	b.t.Helper()
	if err := os.WriteFile(b.o.Input, []byte(input), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// run runs the batch and checks its exit code.
func (b *bench) run(want int) Summary {
	b.t.Helper()
	s, code, err := Run(b.t.Context(), b.o)
	if err != nil && want != exitOwn {
		b.t.Fatal(err)
	}
	if code != want {
		b.t.Fatalf("exit code %d, want %d: %+v", code, want, s)
	}
	return s
}

// total is how many calls the server got.
func (b *bench) total() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		n += c
	}
	return n
}

// line is a row's line in the results or the errors.
type line struct {
	CustomID string    `json:"custom_id"`
	ID       string    `json:"id"`
	Response *response `json:"response"`
	Error    *rowError `json:"error"`
	Rebound  ended     `json:"rebound"`
}

type response struct {
	StatusCode int             `json:"status_code"`
	RequestID  string          `json:"request_id"`
	Body       json.RawMessage `json:"body"`
}

type rowError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ended is the field rebound of a line.
type ended struct {
	Attempts int         `json:"attempts"`
	Seconds  float64     `json:"seconds"`
	Tokens   *[2]float64 `json:"tokens,omitempty"` // of the prompt and of the answer
	Cost     float64     `json:"cost,omitempty"`   // dollars
	Stopped  string      `json:"stopped,omitempty"`
}

// lines returns the lines of the results, or of the errors, by id. Each id must be there once.
func (b *bench) lines(suffix string) map[string]line {
	b.t.Helper()
	data, err := os.ReadFile(b.o.Output + suffix)
	if err != nil {
		b.t.Fatal(err)
	}
	all := map[string]line{}
	for text := range bytes.Lines(data) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			b.t.Fatalf("%s: %q: %v", suffix, text, err)
		}
		if _, twice := all[l.CustomID]; twice {
			b.t.Errorf("%q is there twice", l.CustomID)
		}
		all[l.CustomID] = l
	}
	return all
}

// counts checks the numbers of rows that a run ended with.
func counts(t *testing.T, s Summary, done, failed, pending, inDoubt int) {
	t.Helper()
	if s.Done != done || s.Failed != failed || s.Pending != pending || s.InDoubt != inDoubt {
		t.Errorf("got %d done, %d failed, %d pending, %d in doubt; want %d, %d, %d, %d", s.Done, s.Failed,
			s.Pending, s.InDoubt, done, failed, pending, inDoubt)
	}
}

// ok answers as OpenAI does.
func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}`)
}

func fails(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%q,"message":%q}}`, code, message)
}

// cutConnection ends the connection without an answer, so the row is in doubt.
func cutConnection() { panic(http.ErrAbortHandler) }

// long reports whether tests may take their time.
func long() bool { return *longTests }

var longTests = flag.Bool("long", false, "run the long forms of tests")
