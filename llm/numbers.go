package llm

import (
	"strconv"

	"github.com/rebound-go/rebound/internal/jsonscan"
)

// amount is a JSON value as a number, or 0 if it is something else. A server may send anything in a
// field of that name, and a count that is missing must not fail the answer.
func amount(value []byte) (n float64) {
	// Nearly all counts are short whole numbers. strconv takes ten times as long for one, and much of
	// the stack.
	for i, c := range value {
		if c < '0' || c > '9' || i == maxDigits {
			return number64(value)
		}
		n = 10*n + float64(c-'0')
	}
	return n
}

// maxDigits is the number of digits that a float64 always holds exactly.
const maxDigits = 15

// number64 is amount for any form of a number.
func number64(value []byte) float64 {
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
