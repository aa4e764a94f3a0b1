package stats

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rebound-go/rebound/internal/printable"
)

// writeTable writes a title, unless it is empty, and rows in columns. A blank line comes first if b
// has content. The first column is flush left, and so is the last of four, which holds remarks. The
// others are flush right. Without rows it writes nothing.
func writeTable(b *bytes.Buffer, title string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	if title != "" {
		b.WriteString(title + "\n")
	}
	columns := 0
	for _, row := range rows {
		columns = max(columns, len(row))
	}
	b.WriteString(printable.Columns(rows, func(i int) bool {
		return i > 0 && (i != 3 || columns != 4)
	}))
}

// count writes n without separators, so that scripts can read a report too.
func count(n int64) string { return strconv.FormatInt(n, 10) }

// percents prints the share of each n in their sum with one decimal. The shares add up to 100.0 %:
// the tenths lost by rounding down go to the shares that lost most. A share above zero is never
// printed as 0.0 %, and a share below the whole never as 100.0 %.
func percents(ns ...int64) []string {
	occurred := 0
	for _, n := range ns {
		occurred += int(min(n, 1))
	}
	var texts []string
	for i, tenths := range apportion(ns, 1000) {
		text := fmt.Sprintf("%d.%d%%", tenths/10, tenths%10)
		switch {
		// A reader looks for rare failures, so rounding must not hide them.
		case tenths == 0 && ns[i] > 0:
			text = "<0.1%"
		case tenths == 1000 && occurred > 1:
			text = ">99.9%"
		}
		texts = append(texts, text)
	}
	return texts
}

// apportion divides whole among the ns by the largest remainder method. If all ns are 0, all shares
// are 0.
func apportion(ns []int64, whole int) []int {
	// The sum is a float, because a sum of counts near the largest int64 would overflow.
	var sum float64
	for _, n := range ns {
		sum += float64(n)
	}
	shares, order := make([]int, len(ns)), make([]int, len(ns))
	rests := make([]float64, len(ns))
	if sum == 0 {
		return shares
	}
	left := whole
	for i, n := range ns {
		exact := float64(whole) * (float64(n) / sum)
		shares[i], order[i] = int(exact), i
		rests[i] = exact - float64(shares[i])
		left -= shares[i]
	}
	// Stable, so that of equal remainders the same row always gets the extra tenth.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rests[b], rests[a]) })
	// left is smaller than the number of shares, because each share lost less than 1.
	for _, i := range order[:max(left, 0)] {
		shares[i]++
	}
	return shares
}

// rounded keeps about three digits of d. More digits would be noise, and make columns hard to
// compare.
func rounded(d time.Duration) time.Duration {
	for unit := time.Duration(1); unit < time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}
