package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rebound-go/rebound/sim"
)

// column is a column of the table. value returns false if there is nothing to measure, such as a
// latency without successes.
type column struct {
	name  string
	value func(p *sim.PolicyResult) (float64, bool)
	show  func(float64) string
}

var tableColumns = []column{
	{"success", func(p *sim.PolicyResult) (float64, bool) { return p.SuccessRate, p.Calls > 0 },
		func(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }},
	{"attempts/call",
		func(p *sim.PolicyResult) (float64, bool) { return p.Amplification, p.Calls > 0 },
		func(v float64) string { return fmt.Sprintf("%.3f", v) }},
	{"peak", func(p *sim.PolicyResult) (float64, bool) { return p.Peak, p.Peak > 0 },
		func(v float64) string { return fmt.Sprintf("%.0f/s", v) }},
	{recovery, func(p *sim.PolicyResult) (float64, bool) { return float64(p.Recovery), p.Recovered },
		func(v float64) string {
			if v == 0 {
				return "at once"
			}
			return short(time.Duration(v))
		}},
	{"p50", quantile(0.5), func(v float64) string { return short(time.Duration(v)) }},
	{"p99", quantile(0.99), func(v float64) string { return short(time.Duration(v)) }},
}

// recovery is the column that may have words for a missing number.
const recovery = "recovery"

func quantile(q float64) func(p *sim.PolicyResult) (float64, bool) {
	return func(p *sim.PolicyResult) (float64, bool) {
		return float64(p.Latency.Quantile(q)), p.OK > 0
	}
}

// writeTable prints one line for each policy and each value of the swept field.
func writeTable(out io.Writer, field string, all []played) error {
	scenario := &all[0].runs[0].Scenario
	title := shown(scenario.Name)
	if scenario.About != "" {
		title += ": " + escaped(strings.ReplaceAll(scenario.About, "\n", " "))
	}
	if n := len(all[0].runs); n > 1 {
		title += fmt.Sprintf(" (%d runs: mean, least–most)", n)
	}
	head := []string{"policy"}
	if field != "" {
		head = append(head, field)
	}
	for _, m := range tableColumns {
		head = append(head, m.name)
	}
	rows := [][]string{head}
	for i, name := range all[0].names() {
		for j := range all {
			row := []string{name}
			if field != "" {
				row = append(row, all[j].value)
			}
			for _, m := range tableColumns {
				row = append(row, m.cell(&all[j].runs[0], all[j].of(i)))
			}
			rows = append(rows, row)
		}
	}
	if _, err := fmt.Fprintf(out, "%s\n\n", title); err != nil {
		return err
	}
	return writeColumns(out, rows, true)
}

// cell returns the mean of the runs, and their range if its bounds look different.
func (m *column) cell(r *sim.Result, runs []sim.PolicyResult) string {
	var low, high, sum float64
	n := 0
	for i := range runs {
		v, ok := m.value(&runs[i])
		if !ok {
			continue
		}
		if n == 0 {
			low, high = v, v
		}
		low, high, sum, n = min(low, v), max(high, v), sum+v, n+1
	}
	if n == 0 {
		return m.missing(r, &runs[0])
	}
	text := m.show(sum / float64(n))
	if least, most := m.show(low), m.show(high); least != most {
		for _, unit := range []string{" %", "/s"} {
			least, most = strings.TrimSuffix(least, unit), strings.TrimSuffix(most, unit)
		}
		text += fmt.Sprintf(" (%s–%s)", least, most)
	}
	if m.name == recovery && n < len(runs) {
		text += fmt.Sprintf(", not in %d of %d runs", len(runs)-n, len(runs))
	}
	return text
}

// missing returns the text for a missing number. "not recovered" needs an outage to recover from,
// and enough calls after it to show a recovery.
func (m *column) missing(r *sim.Result, p *sim.PolicyResult) string {
	atEnd := r.TroubleEnd == r.Scenario.Duration
	if m.name != recovery || r.TroubleEnd == 0 || p.Calls == 0 ||
		!atEnd && r.Scenario.Clients.Calls > 0 {
		return "-"
	}
	return "not recovered"
}
