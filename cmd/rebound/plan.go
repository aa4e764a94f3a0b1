package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

func newPlan() *cobra.Command {
	var flags policyFlags
	var asJSON, throttled bool
	var rows int
	c := &cobra.Command{
		Use:   "plan",
		Short: "Print the waits of a policy",
		Long: "Print when a policy makes its attempts: the wait before each, and how long all waits\n" +
			"take up to there, at the least, on average and at the most. The time that the attempts\n" +
			"themselves take comes on top.",
		Example: "  rebound plan --policy aggressive\n" +
			"  rebound plan --policy policies.yaml#ocr --json\n" +
			"  rebound plan --backoff decorrelated --delay 1s --attempts 8",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			chosen, err := flags.choose()
			if err != nil {
				return err
			}
			p, err := chosen.build()
			if err != nil {
				return err
			}
			kind := fault.Transient
			if throttled {
				kind = fault.RateLimited
			}
			made := makePlan(p, kind, rows)
			if asJSON {
				return writeJSON(c.OutOrStdout(), made)
			}
			return made.write(c.OutOrStdout())
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&throttled, "throttled", false, "the waits after a server said to slow down")
	c.Flags().IntVar(&rows, "rows", 10, "rows of a policy without a limit to its attempts")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, times in seconds")
	return c
}

// plan is a policy's schedule.
type plan struct {
	Policy   string    `json:"policy"`
	Attempts int       `json:"attempts"` // allowed; -1 = unlimited
	Rows     []planRow `json:"rows"`
	Stops    string    `json:"stops,omitempty"` // why the last rows may be missing
}

// planRow is one attempt.
type planRow struct {
	Attempt int   `json:"attempt"`
	Wait    times `json:"wait"`  // before the attempt
	Total   times `json:"total"` // of all waits up to it
}

// makePlan computes at most rows attempts of a policy without limit, else all of them, but none
// that could not be made before MaxElapsed.
func makePlan(p *rebound.Policy, kind fault.Kind, rows int) plan {
	limit := p.MaxAttempts()
	made := plan{Policy: p.Name, Attempts: limit, Rows: []planRow{{Attempt: 1}}}
	if limit == rebound.Unlimited {
		limit = max(rows, 1)
	}
	w := newWaits(p, kind)
	var total times
	for n := 2; n <= limit; n++ {
		wait := w.next(n - 1)
		total = total.plus(wait)
		if most := p.MaxElapsed; most > 0 && total.Least >= most {
			made.Stops = fmt.Sprintf("attempt %d would come after the %v that there are for all",
				n, most)
			break
		} else if most > 0 && total.Most >= most && made.Stops == "" {
			made.Stops = fmt.Sprintf("from attempt %d on, only while the %v for all are not over",
				n, most)
		}
		made.Rows = append(made.Rows, planRow{n, wait, total})
	}
	return made
}

func (p plan) write(out io.Writer) error {
	attempts := fmt.Sprintf("%d attempts", p.Attempts)
	switch p.Attempts {
	case rebound.Unlimited:
		attempts = "attempts without limit"
	case 1:
		attempts = "1 attempt"
	}
	fmt.Fprintf(out, "%s: %s\n\n", p.Policy, attempts)
	const row = "%7s  %8s%8s%8s  %8s%8s%8s\n"
	fmt.Fprintf(out, "%35s%26s\n", "wait before it", "all waits")
	fmt.Fprintf(out, row, "attempt", "least", "mean", "most", "least", "mean", "most")
	for _, r := range p.Rows {
		w, t := r.Wait, r.Total
		fmt.Fprintf(out, row, fmt.Sprint(r.Attempt), short(w.Least), short(w.Mean), short(w.Most),
			short(t.Least), short(t.Mean), short(t.Most))
	}
	if p.Stops != "" {
		fmt.Fprintf(out, "\n%s\n", p.Stops)
	}
	return nil
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// short is a duration with about three digits.
func short(d time.Duration) string {
	for unit := time.Microsecond; unit < time.Hour; unit *= 10 {
		if d < 1000*unit {
			d = d.Round(unit)
			break
		}
	}
	text := d.String()
	for _, tail := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, tail) {
			text = text[:len(text)-2]
		}
	}
	return text
}
