package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// delayPattern finds a delay in a command's output. It is the first group that matched. If several
// lines match, the last one counts.
type delayPattern struct {
	all   []*regexp.Regexp
	found atomic.Pointer[foundDelay]
}

// foundDelay is the text that a group matched.
type foundDelay struct {
	text string
	unit time.Duration // of a number without a unit
}

// units are the units of a delay in a text, and names of groups.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "msec": time.Millisecond, "millisecond": time.Millisecond,
	"s": time.Second, "sec": time.Second, "second": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour,
}

// Set adds an expression. A line may match any of them.
func (p *delayPattern) Set(text string) error {
	re, err := regexp.Compile(text)
	switch {
	case err != nil:
		return badRegexp(err)
	case re.NumSubexp() == 0:
		return fmt.Errorf("%q has no group for the delay: want one, as in 'retry in ([0-9.]+)'", text)
	}
	p.all = append(p.all, re)
	return nil
}

func (p *delayPattern) String() string {
	var texts []string
	for _, re := range p.all {
		texts = append(texts, re.String())
	}
	return strings.Join(texts, "|")
}

// Type is the name of the value in the help.
func (p *delayPattern) Type() string { return "regexp" }

// look looks for a delay in a line.
func (p *delayPattern) look(line []byte) {
	for _, re := range p.all {
		match := re.FindSubmatch(line)
		for i := 1; i < len(match); i++ {
			if match[i] != nil {
				unit, ok := units[re.SubexpNames()[i]]
				if !ok {
					unit = time.Second
				}
				p.found.Store(&foundDelay{strings.ToValidUTF8(string(match[i]), ""), unit})
				break
			}
		}
	}
}

// delay returns the delay that was found, or 0.
func (p *delayPattern) delay(now time.Time) (time.Duration, error) {
	found := p.found.Load()
	if found == nil {
		return 0, nil
	}
	d, ok := found.read(now)
	if !ok {
		return 0, fmt.Errorf("--delay-from matched %.40q: want a delay, such as 30s", found.text)
	}
	return d, nil
}

var (
	bareNumber = regexp.MustCompile(`^\d+(\.\d*)?$`)
	measure    = regexp.MustCompile(`(?i)(\d+(?:\.\d*)?)\s*([a-z]+)(?:\s*,\s*|\s+and\s+|\s*)`)
)

// read parses a number with or without units, or a date as in the header Retry-After.
func (f foundDelay) read(now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(f.text)
	if bareNumber.MatchString(text) {
		return multiple(text, f.unit)
	}
	if parts := measure.FindAllStringSubmatch(text, -1); measure.ReplaceAllString(text, "") == "" {
		var sum time.Duration
		for _, part := range parts {
			unit, ok := unitOf(part[2])
			d, ok2 := multiple(part[1], unit)
			if !ok || !ok2 || sum > math.MaxInt64-d {
				return 0, false
			}
			sum += d
		}
		return sum, len(parts) > 0
	}
	return fault.ParseRetryAfter(map[string][]string{"Retry-After": {text}}, now)
}

// multiple returns number times unit, and false if that is not a duration.
func multiple(number string, unit time.Duration) (time.Duration, bool) {
	n, err := strconv.ParseFloat(number, 64)
	d := n * float64(unit)
	return time.Duration(d), err == nil && d < math.MaxInt64
}

// unitOf returns the unit of a name in the singular or the plural.
func unitOf(name string) (time.Duration, bool) {
	name = strings.ToLower(name)
	if unit, ok := units[name]; ok {
		return unit, true
	}
	unit, ok := units[strings.TrimSuffix(name, "s")]
	return unit, ok
}
