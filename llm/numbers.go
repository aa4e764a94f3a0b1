package llm

import (
	"strconv"

	"github.com/rebound-go/rebound/internal/jsonscan"
)

// amount is a JSON value as a number, or 0 if it is something else. A server may send anything in a
// field of that name, and a count that is missing must not fail the answer.
func amount(value []byte) float64 {
	n, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return 0
	}
	return n
}

// numberIn is the number in the named field of an object, or 0 if there is no such field or object.
func numberIn(object []byte, called string) (n float64) {
	jsonscan.Fields(object, func(name, value []byte) {
		if string(name) == called {
			n = amount(value)
		}
	})
	return n
}
