package fault

import (
	"strings"
	"time"
)

// spend turns a rate limit that would pass into a quota that is used up. It has the rank of a code,
// because the server's own words outrank the status.
func spend(f finding) finding {
	f.rank, f.kind = code, Permanent
	f.detail += ", quota spent"
	return f
}

// readLimit adds the meaning of the text of a RateLimited error. If a quota is used up that a retry
// cannot wait for, the error is Permanent. Otherwise the delay in the text counts, unless a header
// states one.
func readLimit(f finding, text string, stated bool) finding {
	if f.kind != RateLimited || text == "" {
		return f
	}
	if f.after == 0 && !stated {
		f.after = delayIn(text)
	}
	// Limits are written with either separator: free-models-per-day, daily_limit.
	plain := separators.Replace(strings.ToLower(text))
	// A limit that the server expects to pass soon is not used up for long.
	soon := f.after > 0 && f.after <= soonest
	// A delay does not bring money back, even if the error states one.
	if isZeroLimit(text) || containsAny(plain, moneyWords) || isLastingName(plain) && !soon {
		return spend(f)
	}
	return f
}

// soonest is the longest stated delay with which a quota counts as a limit that passes. That
// includes a quota per day: if its window slides, it may have room for another request within
// seconds.
const soonest = 2 * time.Minute

var separators = strings.NewReplacer("-", " ", "_", " ")

// How texts and names refer to the period of a quota. Limits per day or longer are not worth a
// retry within one call.
var (
	longPeriods = []string{
		"per day", "perday", "/day", "/ day", "by day", "byday", "daily", "a day", "every day",
		"per week", "perweek", "weekly", "per month", "permonth", "/month", "/ month", "monthly",
		"per year", "peryear", "yearly", "per 86400", "(rpd)", "(tpd)", " rpd", " tpd", "每日", "每天",
		"每月",
	}
	shortPeriods = []string{
		"per min", "permin", "/min", "/ min", "by minute", "byminute", "per sec", "persec",
		"by second", "bysecond", "per hour", "perhour", "(rpm)", "(tpm)", " rpm", " tpm", "每分钟",
	}
)

// moneyWords are phrases about an account without money, from the error texts of providers.
var moneyWords = []string{
	"insufficient balance", "insufficient credit", "insufficient fund", "insufficient quota",
	"insufficient account balance", "not enough credit", "not enough balance",
	"out of credits", "no credits", "any credits", "enough credits", "available credits",
	"all your credits", "credits exhausted", "credits are exhausted", "credits have been",
	"included credits", "credit balance", "credit limit", "balance is too low",
	"spending limit", "spend limit", "spending cap", "spend cap", "budget limit", "billing hard limit",
	"budget has been exceeded", "budget exceeded", "billing limit", "recharge", "top up",
	"payment required",
	"in arrears", "overdue", "purchase more", "余额不足", "欠费", "充值",
}

// quotaWords are phrases about a quota without a period. They count only if the text names no
// period.
var quotaWords = []string{
	"exceeded your current quota", "usage limit", "free quota", "allocated quota", "trial quota",
	"quota has been exhausted", "quota is exhausted", "quota exhausted",
}

// isLastingName reports whether a quota's name or description is about a day or more, or about a
// limit of zero. An example is Gemini's "GenerateRequestsPerDayPerProjectPerModel". If there are
// several periods, the first counts, because later ones are often advice about other plans.
func isLastingName(name string) bool {
	if isZeroLimit(name) {
		return true
	}
	name = strings.ToLower(name)
	long, short := firstOf(name, longPeriods), firstOf(name, shortPeriods)
	return long < short || short == len(name) && containsAny(name, quotaWords)
}

// firstOf is the index of the first of words in text, or the text's length if there is none.
func firstOf(text string, words []string) int {
	first := len(text)
	for _, w := range words {
		if i := strings.Index(text, w); i >= 0 {
			first = min(first, i)
		}
	}
	return first
}

func containsAny(text string, words []string) bool { return firstOf(text, words) < len(text) }

// isZeroLimit looks for "limit: 0", but not "limit: 0.5" or "limit: 05".
func isZeroLimit(s string) bool {
	_, rest, ok := strings.Cut(s, "limit: 0")
	return ok && (rest == "" || !strings.ContainsRune(".0123456789", rune(rest[0])))
}

// delayMarks are the words before a delay in a text.
var delayMarks = []string{
	"try again in ", "try again after ", "retry in ", "retry after ", "retry your request in ",
	"retry your request after ", "please wait ", "wait for ", "resets in ", "reset in ",
	"available in ", "available again in ",
}

// delayIn is the delay that a text states, such as "Please try again in 1m2.5s" or "Please retry
// after 20 seconds", or 0.
func delayIn(text string) time.Duration {
	text = strings.ToLower(text)
	for _, mark := range delayMarks {
		if _, rest, ok := strings.Cut(text, mark); ok {
			if d, _, ok := scanDuration(rest); ok {
				return d
			}
		}
	}
	return 0
}
