package fault_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rebound-go/rebound/fault"
)

// load reads a file of vectors from other projects' sources and tests, which it names.
func load(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func retryable(k fault.Kind) bool {
	return k == fault.Transient || k == fault.RateLimited || k == fault.Overloaded
}

// TestStatusVotes: a status that most of twelve clients retry is retryable. One that none retries
// is not, except 421 and 425, which may be repeated by their RFCs.
func TestStatusVotes(t *testing.T) {
	var file struct {
		Votes map[string]int `json:"votes_for_retry_out_of_12"`
	}
	load(t, "http-status-tables.json", &file)
	for text, votes := range file.Votes {
		status, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		got := retryable(fault.Status(status).Kind)
		switch {
		case votes >= 7 && !got:
			t.Errorf("status %d: not retried, but by %d clients of 12", status, votes)
		case votes == 0 && got && status != 421 && status != 425:
			t.Errorf("status %d: retried, but by no client of 12", status)
		}
	}
	if len(file.Votes) < 20 {
		t.Errorf("%d statuses, want at least 20", len(file.Votes))
	}
}

type awsCase struct {
	ID    string
	Given struct {
		Status     *int
		Code       *string
		Errno      string
		CauseCodes []string `json:"cause_codes"`
	}
	Expect struct {
		Throttling *bool
		Transient  *bool
		Skew       *bool `json:"clock_skew"`
	}
}

// err is the error of a case with a status and a code, or nil for other cases.
func (c awsCase) err() error {
	g := c.Given
	switch {
	case g.Status != nil && g.Code != nil:
		return aws(*g.Status, *g.Code)
	case g.Status != nil:
		return aws(*g.Status, "")
	case g.Code != nil && !strings.HasPrefix(*g.Code, "<"):
		return aws(403, *g.Code)
	}
	return errnos[g.Errno]
}

var errnos = map[string]error{
	"ECONNRESET": syscall.ECONNRESET, "ECONNREFUSED": syscall.ECONNREFUSED,
	"EPIPE": syscall.EPIPE, "ETIMEDOUT": syscall.ETIMEDOUT,
	"EHOSTUNREACH": syscall.EHOSTUNREACH, "ENETUNREACH": syscall.ENETUNREACH,
}

func TestAWSVectors(t *testing.T) {
	var file struct{ Cases []awsCase }
	load(t, "aws-error-classes.json", &file)
	tried := 0
	for _, c := range file.Cases {
		err := c.err()
		if err == nil {
			continue
		}
		tried++
		got := fault.Of(err).Kind
		if want := c.Expect.Throttling; want != nil && *want != (got == fault.RateLimited) {
			t.Errorf("%s: %v, want throttling %v", c.ID, got, *want)
		}
		if want := c.Expect.Transient; want != nil && *want && !retryable(got) {
			t.Errorf("%s: %v, want one that is retried", c.ID, got)
		}
		if want := c.Expect.Transient; want != nil && !*want && got == fault.Transient {
			t.Errorf("%s: %v, want another kind", c.ID, got)
		}
		if c.Expect.Skew != nil && got != fault.Permanent {
			t.Errorf("%s: %v, want permanent: the same signature fails again", c.ID, got)
		}
	}
	for _, code := range []string{"TimeoutError", "RequestTimeout", "RequestTimeoutException"} {
		if err := error(&awsError{code}); !fault.IsTimeout(err) || !retryable(fault.Of(err).Kind) {
			t.Errorf("code %s: %v, want a timeout that is retried", code, fault.Of(err).Kind)
		}
	}
	if tried < 44 {
		t.Errorf("tried %d vectors, want at least 44", tried)
	}
}

type dbRow struct {
	Code  any
	Class string
}

// err makes the driver's error of a row.
func (r dbRow) err(db string) error {
	if code, ok := r.Code.(string); ok {
		if len(code) != 5 {
			return nil // words about the rest
		}
		return pg(code)
	}
	n := int(r.Code.(float64))
	switch db {
	case "mysql":
		return my(uint16(n), "HY000")
	case "sqlserver":
		return mssqlError{int32(n)}
	}
	return &OracleError{n}
}

// disputed are codes for which our table differs from a source. Npgsql leaves out two that may have
// taken effect, and a canceled statement; a policy distinguishes these by Sent. It also leaves out
// PgBouncer's own errors, and it retries a disk that fails.
var disputed = []any{"40003", "57014", "08P01", "58030"}

func TestDatabaseVectors(t *testing.T) {
	var file struct {
		Cases []struct {
			ID, DB string
			Rows   []dbRow
		}
	}
	load(t, "db-retryable-codes.json", &file)
	tried := 0
	for _, c := range file.Cases {
		for _, r := range c.Rows {
			err := r.err(c.DB)
			if err == nil || slices.Contains(disputed, r.Code) {
				continue
			}
			tried++
			want := !strings.Contains(r.Class, "permanent") && r.Class != "only in some cases"
			if f := fault.Of(err); retryable(f.Kind) != want {
				t.Errorf("%s %v: %v, want %q", c.ID, r.Code, f.Kind, r.Class)
			}
		}
	}
	if tried < 90 {
		t.Errorf("tried %d vectors, want at least 90", tried)
	}
}
