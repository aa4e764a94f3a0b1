package bench

import "slices"

// Entries returns every entry of a scenario: floors, references, peers, ours.
func Entries(scenario string) []Entry {
	all := slices.DeleteFunc(entries(), func(e Entry) bool { return e.Scenario != scenario })
	slices.SortStableFunc(all, func(a, b Entry) int { return int(a.Kind - b.Kind) })
	return all
}

func entries() []Entry {
	return slices.Concat(floors, parts, breakerFloors, httpFloors, sqlEntries, avastEntries,
		awsEntries, cenkaltiEntries, eapacheEntries, failsafeEntries, failsafeBreakers,
		hashicorpEntries, hedgeEntries, sethvargoEntries, sonyEntries, mixedEntries, xtimeEntries,
		reboundEntries)
}
