package estimate

import "time"

// Pace is how fast rows have ended lately. The zero Pace is ready to use.
type Pace struct{ older, newer mark }

type mark struct {
	at   time.Time
	rows int
}

// lately is how old the older mark of a Pace is at least, once it has run for that long.
const lately = 30 * time.Second

// PerSecond returns the rows per second in the last 30 to 60 s, or since the batch began if that is
// less. rows is how many have ended in this run. If it is not called for longer, the mean includes
// that time.
func (p *Pace) PerSecond(began, now time.Time, rows int) float64 {
	if p.newer.at.IsZero() {
		p.older, p.newer = mark{at: began}, mark{at: began}
	}
	if now.Sub(p.newer.at) >= lately {
		p.older, p.newer = p.newer, mark{now, rows}
	}
	took := now.Sub(p.older.at).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(rows-p.older.rows) / took
}
