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
	"github.com/rebound-go/rebound/internal/printable"
	"github.com/rebound-go/rebound/internal/rejection"
)

// WriteReport writes a summary for people, for example after a batch. It has the totals, the
// attempts per call, the reasons why calls stopped, the kinds of failed attempts, and a line for
// each policy if there are several. Empty sections are left out. Names with characters that a
// terminal may not print are quoted. WriteReport calls w.Write once and returns its error.
func (r *Recorder) WriteReport(w io.Writer) error {
	var b bytes.Buffer
	s := r.Snapshot()
	if s.Total.Calls == 0 && s.Total.Waits == 0 {
		b.WriteString("no calls\n")
	} else {
		writeTotals(&b, s.Total)
		writeDistribution(&b, s.Total.Distribution)
		writeShares(&b, "stopped because", stopsInWords(s.Total))
		writeShares(&b, "failed attempts by kind", inWords(s.Total.Faults, fault.Kind.String))
		writePolicies(&b, s.Policies)
	}
	// A single write keeps other goroutines' output out of the report.
	_, err := w.Write(b.Bytes())
	return err
}

// writeTotals writes the totals, with remarks where there is something to explain.
func writeTotals(b *bytes.Buffer, s Summary) {
	// Both shares come from one call, so that they add up to 100 %.
	share := percents(s.Succeeded, s.Failed)
	rows := [][]string{
		{"calls", count(s.Calls)},
		{"  succeeded", count(s.Succeeded), share[0]},
		{"  failed", count(s.Failed), share[1], unattempted(s)},
	}
	if s.Fallbacks > 0 {
		rows = append(rows, []string{"fallbacks", count(s.Fallbacks), "", fmt.Sprintf(
			"%d answered, %d failed", s.Fallbacks-s.FallbacksFailed, s.FallbacksFailed)})
	}
	// Retries may be under way before any call has ended. Then there is nothing to divide by.
	if s.Calls > 0 {
		rows = append(rows, []string{"attempts", count(s.Attempts), "", attempts(s)})
	}
	if s.Waits > 0 {
		rows = append(rows, []string{"delays", count(s.Waits), "", fmt.Sprintf(
			"%v in all, %v each", rounded(s.Delay), rounded(s.Delay/time.Duration(s.Waits)))})
	}
	if s.Elapsed > 0 {
		rows = append(rows, []string{"time", "", "", fmt.Sprintf(
			"%v per call, %v at most", rounded(s.Elapsed/time.Duration(s.Calls)), rounded(s.Longest))})
	}
	writeTable(b, "", rows)
}

// unattempted returns the remark on failed calls without an attempt: the gates that rejected them,
// and how many ended for another reason, such as a context that had already ended.
func unattempted(s Summary) string {
	by, rest := make(map[string]int64), s.Unattempted
	for _, r := range s.Rejections {
		// Calls that a gate ended after an attempt are listed among the reasons.
		if r.Unattempted > 0 {
			by["rejected by "+rejection.Phrase(r.Kind)] += r.Unattempted
			rest -= r.Unattempted
		}
	}
	var parts []string
	for _, words := range byCount(by) {
		parts = append(parts, fmt.Sprintf("%d %s", by[words], words))
	}
	if rest > 0 {
		parts = append(parts, fmt.Sprintf("%d ended before an attempt", rest))
	}
	return strings.Join(parts, ", ")
}

// attempts returns the remark on the attempts. The first number is the load per call, as metrics
// and the simulator report it. Calls that gates rejected lower it, so the second number leaves them
// out.
func attempts(s Summary) string {
	parts := []string{fmt.Sprintf("%.2f per call", s.PerCall)}
	if s.Unattempted > 0 && s.Attempts > 0 {
		parts = append(parts, fmt.Sprintf("%.2f per attempted call", s.PerAttempted))
	}
	switch s.Retries {
	case 0:
	case 1:
		parts = append(parts, "1 retry")
	default:
		parts = append(parts, fmt.Sprintf("%d retries", s.Retries))
	}
	return strings.Join(parts, ", ")
}

// stopsInWords returns the failed calls by reason. Rejected calls are listed by the kind of gate,
// because "rejected" alone does not show whether the service fails or the program's own limit is
// too low.
func stopsInWords(s Summary) map[string]int64 {
	stops := inWords(s.Stops, func(r rebound.Reason) string { return string(r) })
	rejected := rejectedByKind(s)
	// The kinds replace the reason. Both together would count the same calls twice.
	if len(rejected) > 0 {
		delete(stops, string(rebound.Rejected))
	}
	maps.Copy(stops, rejected)
	return stops
}

// rejectedByKind returns the rejected calls by the kind of gate. Names are left out, because there
// may be one for each host.
func rejectedByKind(s Summary) map[string]int64 {
	rejected := make(map[string]int64)
	for _, r := range s.Rejections {
		rejected["rejected by "+rejection.Phrase(r.Kind)] += r.Calls
	}
	return rejected
}

// inWords returns counts by label, with spaces instead of the underscores of JSON.
func inWords[K comparable](counts map[K]int64, label func(K) string) map[string]int64 {
	labeled := make(map[string]int64)
	for k, n := range counts {
		labeled[strings.ReplaceAll(label(k), "_", " ")] += n
	}
	return labeled
}

// writeDistribution writes how many calls took how many attempts. The mean alone hides the few
// calls that took many.
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

// writeShares writes counts by label, the largest first.
func writeShares(b *bytes.Buffer, title string, counts map[string]int64) {
	labels := byCount(counts)
	var values []int64
	for _, label := range labels {
		values = append(values, counts[label])
	}
	share := percents(values...)
	var rows [][]string
	for i, label := range labels {
		rows = append(rows, []string{"  " + label, count(values[i]), share[i]})
	}
	writeTable(b, title, rows)
}

// byCount returns the labels, the one with the largest count first. Labels with the same count are
// sorted, so that the same counts always give the same report.
func byCount(counts map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
		return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y))
	})
}

// writePolicies compares policies. For a single policy, the totals are enough.
func writePolicies(b *bytes.Buffer, policies []Summary) {
	if len(policies) < 2 {
		return
	}
	rows := [][]string{{
		"by policy", "calls", "succeeded", "failed", "attempts", "per call", "delayed",
	}}
	for _, s := range policies {
		rows = append(rows, []string{
			"  " + cmp.Or(printable.Name(s.Policy), "(unnamed)"), count(s.Calls),
			percents(s.Succeeded, s.Failed)[0], count(s.Failed), count(s.Attempts),
			fmt.Sprintf("%.2f", s.PerCall), rounded(s.Delay).String(),
		})
	}
	writeTable(b, "", rows)
}
