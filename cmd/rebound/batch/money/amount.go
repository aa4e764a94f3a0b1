// Package money computes the cost of calls from their tokens, and keeps a budget.
package money

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Amount is in billionths of a dollar, because a token costs a fraction of a millionth.
type Amount int64

// Dollars returns the Amount of usd dollars.
func Dollars(usd float64) Amount { return Amount(math.Round(usd * 1e9)) }

// USD returns the amount in dollars.
func (m Amount) USD() float64 { return float64(m) / 1e9 }

func (m Amount) String() string { return fmt.Sprintf("$%.2f", m.USD()) }

// Parse reads an amount such as 50usd, $50 or 0.25.
func Parse(s string) (usd float64, err error) {
	text := strings.TrimPrefix(strings.TrimSpace(strings.ToLower(s)), "$")
	text = strings.TrimSpace(strings.TrimSuffix(text, "usd"))
	usd, err = strconv.ParseFloat(text, 64)
	if err != nil || !(usd > 0) || usd > 1e9 {
		return 0, fmt.Errorf("%q is not an amount: want dollars above 0, such as 50usd", s)
	}
	return usd, nil
}
