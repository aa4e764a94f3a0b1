package llm

import (
	"regexp"
	"strconv"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// Texts that have no field of their own, as OpenAI, Azure, Groq and Google word them.
var (
	amountsText = regexp.MustCompile(`Limit:? (\d{1,15})\b.*\bRequested:? (\d{1,15})\b`)
	delayText   = regexp.MustCompile(
		`(?i)\b(?:try again|retry) (?:in|after) ((?:[0-9][0-9.]{0,15} ?[a-zµ]{1,12} ?){1,4})`)
)

// amounts are the tokens that a request asks for and those that the limit has in all: a request
// that asks for more than that fails however long one waits.
func amounts(text string) (asked, limit int, ok bool) {
	m := amountsText.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	limit, err := strconv.Atoi(m[1])
	asked, err2 := strconv.Atoi(m[2])
	return asked, limit, err == nil && err2 == nil
}

// delayIn is the delay that a text asks for, such as "Please try again in 1m2.5s" or "Please retry
// after 20 seconds", or 0.
func delayIn(text string) time.Duration {
	m := delayText.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	d, _ := fault.ParseRetryAfter(map[string][]string{"Retry-After": {m[1]}}, time.Time{})
	return d
}
