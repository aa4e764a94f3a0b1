package llm

import (
	"math"
	"strconv"
	"testing"
)

// amount is the number that strconv reads.
func FuzzAmount(f *testing.F) {
	for _, text := range []string{
		"", "0", "7", "60", "007", "999999999999999", "9999999999999999", "123456789012345678901",
		"7633976790952785973", "7244926178673732373", // whose digits one by one make another float64
		"-1", "1.5", "1e3", "1e999", "null", "\"7\"", "{}", "12a", "1_000",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			want = 0
		}
		if got := amount([]byte(text)); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	})
}
