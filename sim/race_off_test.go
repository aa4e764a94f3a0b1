//go:build !race

package sim

// slow is how many times smaller the largest tests must be for the race detector, and loose how
// many times wider that makes their tolerances.
const slow, loose = 1, 1
