package batch

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rebound-go/rebound/limit"
)

// Summary is the report of a run. The counts of rows are over the whole input and all runs.
type Summary struct {
	Rows     int     `json:"rows"`
	Done     int     `json:"done"`
	Failed   int     `json:"failed"`
	Pending  int     `json:"pending"`
	InDoubt  int     `json:"in_doubt"` // sent, but without a result
	Repeated int     `json:"repeated"` // rows in doubt that were sent again
	Attempts int64   `json:"attempts"` // in this run; of a fleet, in all runs
	CostUSD  float64 `json:"cost_usd"` // over all runs

	Stopped    string           `json:"stopped,omitempty"` // why the run ended early
	Seconds    float64          `json:"seconds"`
	Deferred   int              `json:"deferred"` // how often a row was put off
	Tokens     [2]float64       `json:"tokens"`   // of prompts and answers, in this run
	FailedUSD  float64          `json:"failed_usd"`
	Changed    int              `json:"changed,omitempty"` // rows that differ from what was sent
	Foreign    int              `json:"foreign,omitempty"` // lines of rows that are not in the input
	Reasons    []Reason         `json:"reasons,omitempty"` // why rows failed, in this run
	Limits     []limit.Snapshot `json:"limits,omitempty"`
	Waited     Waits            `json:"waited_seconds"`
	Estimate   string           `json:"estimate,omitempty"` // after a probe
	Command    string           `json:"command,omitempty"`  // continues the batch
	Generation int              `json:"generation,omitempty"`
}

// Waits is how long the rows waited in this run, in seconds. The times of all rows are added.
type Waits struct {
	Limit   float64 `json:"limit"`   // for a limit
	Backoff float64 `json:"backoff"` // before retries
}

// Reason counts the rows that failed with one code.
type Reason struct {
	Code    string `json:"code"`
	Rows    int    `json:"rows"`
	Example string `json:"example"` // the custom_id of one such row
	Message string `json:"message"`
}

// topReasons is how many reasons the report lists.
const topReasons = 5

// Write writes the report as text. The most important lines come last, where a terminal shows them.
func (s Summary) Write(w io.Writer) error {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	if s.Stopped != "" {
		line("stopped: %s", s.Stopped)
	}
	for i, r := range s.Reasons {
		if i == topReasons {
			line("failed: for %d more reasons, see the errors", len(s.Reasons)-topReasons)
			break
		}
		line("failed: %d × %s, such as %q: %s", r.Rows, r.Code, r.Example, shortened(r.Message))
	}
	if s.Changed > 0 {
		line("changed: %d rows differ from what was sent earlier; existing results are kept",
			s.Changed)
	}
	if s.Foreign > 0 {
		line("not in the input: %d results or errors", s.Foreign)
	}
	took := ""
	if s.Seconds > 0 { // in a status it is 0
		took = fmt.Sprint(" in ", time.Duration(s.Seconds*float64(time.Second)).Round(time.Second))
	}
	line("attempts: %d%s, %d rows put off", s.Attempts, took, s.Deferred)
	if s.Waited.Limit+s.Waited.Backoff >= 1 {
		line("waited, summed over all rows: %.0f s for limits, %.0f s before retries", s.Waited.Limit,
			s.Waited.Backoff)
	}
	for _, l := range s.Limits {
		if l.Limit > 0 {
			line("limit: %s", limitText(l))
		}
	}
	if s.Tokens[0]+s.Tokens[1] > 0 {
		line("tokens: %.0f of prompts, %.0f of answers", s.Tokens[0], s.Tokens[1])
	}
	if s.CostUSD > 0 {
		line("cost: $%.4f in all runs; $%.4f for rows that failed in this run", s.CostUSD,
			s.FailedUSD)
	}
	text.WriteString(s.Estimate)
	line("%d rows: %d done, %d failed, %d pending", s.Rows, s.Done, s.Failed, s.Pending)
	line("repeated after doubt: %d", s.Repeated)
	line("in doubt: %d", s.InDoubt)
	if s.Command != "" {
		line("to go on: %s", s.Command)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func limitText(l limit.Snapshot) string {
	if l.Kind == "rate" {
		return fmt.Sprintf("%s: %.4g a minute", l.Name, l.Limit*60)
	}
	return fmt.Sprintf("%s: %.0f", l.Name, l.Limit)
}

// shortened returns the beginning of a message, on one line.
func shortened(text string) string {
	const longest = 160
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// WriteJSON writes the summary to a file.
func (s Summary) WriteJSON(path string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o600)
}
