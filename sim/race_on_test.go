//go:build race

package sim

// slow is how many times smaller tests must be for the race detector.
const slow = 10
