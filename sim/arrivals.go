package sim

import "time"

// arrivals are the calls of an open loop: a Poisson process whose rate may change. Each arrival is
// drawn when the one before it is taken, so a hundred million calls need no more memory than one.
type arrivals struct {
	next    time.Duration // the next one
	random  random
	profile []Rate  // the points not reached yet
	from    Rate    // the last point reached
	now     float64 // in ns
	made    uint64
}

// newArrivals returns the arrivals of c's calls, with the first one drawn.
func newArrivals(seed uint64, c *Clients) arrivals {
	// No call has the number 1<<63, so arrivals and calls share no random numbers.
	a := arrivals{random: newRandom(seed, 1<<63), profile: c.Profile}
	if len(c.Profile) == 0 {
		a.from.PerSecond = c.Rate
	} else {
		a.from.PerSecond = c.Profile[0].PerSecond
	}
	a.find()
	return a
}

// advance finds the arrival after next, and returns the number of next, from 0.
func (a *arrivals) advance() uint64 {
	a.find()
	a.made++
	return a.made - 1
}

// find draws the next arrival. Between two points of the profile it draws from a process at the
// higher of their rates. It keeps each arrival with a probability of the rate at that time, divided
// by the higher rate (thinning: Lewis and Shedler, 1979).
func (a *arrivals) find() {
	for {
		to := Rate{At: longest, PerSecond: a.from.PerSecond}
		if len(a.profile) > 0 {
			to = a.profile[0]
		}
		peak := max(a.from.PerSecond, to.PerSecond)
		a.now += float64(a.random.exp()*1e9) / peak
		at := nanos(a.now)
		switch {
		// An arrival of the faster process, which the draw keeps or drops.
		case peak > 0 && at < to.At:
			if a.random.chance(rate(a.from, to, at) / peak) {
				a.next = at
				return
			}
		// The last rate is 0, and the division gave +Inf: no further call comes.
		case to.At == longest:
			a.next = never
			return
		default:
			// The draw went past a point. A Poisson process has no memory, so it starts anew there.
			a.from, a.profile = to, a.profile[1:]
			a.now = float64(to.At)
		}
	}
}

// rate is the rate at a time between two points. The two points of a step have the same time. No
// arrival lies between them, so nothing divides by 0.
func rate(from, to Rate, at time.Duration) float64 {
	part := float64(at-from.At) / float64(to.At-from.At)
	return from.PerSecond + float64(part*(to.PerSecond-from.PerSecond))
}

// expected returns the mean number of arrivals until end. Validation bounds it, so that no run has
// too many calls. Between two points the rate is a straight line, and the area below it is a
// trapezoid.
func expected(c *Clients, end time.Duration) float64 {
	if len(c.Profile) == 0 {
		return c.Rate * end.Seconds()
	}
	sum, from := 0.0, Rate{PerSecond: c.Profile[0].PerSecond}
	for _, to := range c.Profile {
		// The run ends within this part of the profile.
		if to.At >= end {
			to = Rate{At: end, PerSecond: rate(from, to, end)}
		}
		if to.At > from.At {
			sum += (to.At - from.At).Seconds() * (from.PerSecond + to.PerSecond) / 2
		}
		from = to
	}
	return sum + float64((end-from.At).Seconds()*from.PerSecond)
}
