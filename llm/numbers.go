package llm

import (
	"strconv"

	"github.com/rebound-go/rebound/internal/jsonscan"
)

// amount is a value in JSON that is a number. It is 0 if the value is something else: what servers
// send in a field of that name is up to them.
func amount(value []byte) float64 {
	n, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return 0
	}
	return n
}

// numberIn is the number that a field of an object has; 0 if there is no such field, or no object.
func numberIn(object []byte, called string) (n float64) {
	jsonscan.Fields(object, func(name, value []byte) {
		if string(name) == called {
			n = amount(value)
		}
	})
	return n
}
