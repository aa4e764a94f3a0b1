package stats

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// WriteReport writes what a person wants to read after a batch: the counts in all, how many
// attempts the calls took, why calls stopped, what failed attempts met, and a line per policy if
// there are several. What did not occur has no section. The error is that of w, which is written
// to once.
func (r *Recorder) WriteReport(w io.Writer) error {
	var b bytes.Buffer
	s := r.Snapshot()
	if s.Total.Calls == 0 && s.Total.Waits == 0 {
		b.WriteString("no calls\n")
	} else {
		writeTotals(&b, s.Total)
		writeDistribution(&b, s.Total.Distribution)
		writeShares(&b, "stopped because", s.Total.Stops,
			func(r rebound.Reason) string { return string(r) })
		writeShares(&b, "failed attempts by kind", s.Total.Faults, fault.Kind.String)
		writePolicies(&b, s.Policies)
	}
	// A single write keeps other goroutines' output out of the report.
	_, err := w.Write(b.Bytes())
	return err
}

// writeTotals writes the counts, with a remark only where there is something to remark.
func writeTotals(b *bytes.Buffer, s Summary) {
	// Both shares come from one division, so that they add up.
	share := percents(s.Succeeded, s.Failed)
	failed := ""
	if s.Refused > 0 {
		failed = fmt.Sprintf("%d before the first attempt", s.Refused)
	}
	rows := [][]string{
		{"calls", count(s.Calls)},
		{"  succeeded", count(s.Succeeded), share[0]},
		{"  failed", count(s.Failed), share[1], failed},
	}
	if s.Attempts > 0 {
		rows = append(rows, []string{"attempts", count(s.Attempts), "", fmt.Sprintf(
			"%.2f per call, %.2f of them retries", s.MeanAttempts, s.MeanRetries)})
	}
	if s.Waits > 0 {
		rows = append(rows, []string{"waits", count(s.Waits), "", fmt.Sprintf(
			"%v in all, %v each", rounded(s.Delay), rounded(s.Delay/time.Duration(s.Waits)))})
	}
	if s.Elapsed > 0 {
		rows = append(rows, []string{"time", "", "", fmt.Sprintf(
			"%v per call, %v at most", rounded(s.Elapsed/time.Duration(s.Calls)), rounded(s.Longest))})
	}
	writeTable(b, "", rows)
}

// writeDistribution writes how many calls took how many attempts: the mean alone hides the few that
// took many.
func writeDistribution(b *bytes.Buffer, distribution []Row) {
	var calls []int64
	for _, r := range distribution {
		calls = append(calls, r.Calls)
	}
	share := percents(calls...)
	var rows [][]string
	for i, r := range distribution {
		label := strconv.Itoa(r.Attempts)
		if r.OrMore {
			label += "+"
		}
		rows = append(rows, []string{"  " + label, count(r.Calls), share[i]})
	}
	writeTable(b, "attempts per call", rows)
}

// writeShares writes counts by what they count, the largest first.
func writeShares[K cmp.Ordered](
	b *bytes.Buffer, title string, counts map[K]int64, label func(K) string,
) {
	// Equal counts are in the order of their keys, so that the same counts make the same report.
	keys := slices.SortedFunc(maps.Keys(counts), func(x, y K) int {
		return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y))
	})
	var values []int64
	for _, k := range keys {
		values = append(values, counts[k])
	}
	share := percents(values...)
	var rows [][]string
	for i, k := range keys {
		// Reasons and kinds are written with underscores in JSON, and with spaces for people.
		name := strings.ReplaceAll(label(k), "_", " ")
		rows = append(rows, []string{"  " + name, count(values[i]), share[i]})
	}
	writeTable(b, title, rows)
}

// writePolicies compares policies. One alone is in the totals already.
func writePolicies(b *bytes.Buffer, policies []Summary) {
	if len(policies) < 2 {
		return
	}
	rows := [][]string{{"by policy", "calls", "succeeded", "failed", "attempts", "per call", "waited"}}
	for _, s := range policies {
		rows = append(rows, []string{
			"  " + cmp.Or(s.Policy, "(unnamed)"), count(s.Calls),
			percents(s.Succeeded, s.Failed)[0], count(s.Failed), count(s.Attempts),
			fmt.Sprintf("%.2f", s.MeanAttempts), rounded(s.Delay).String(),
		})
	}
	writeTable(b, "", rows)
}
