package bench

import "slices"

// Entries returns every entry of a scenario: floors, references, peers, ours.
func Entries(scenario string) []Entry {
	all := slices.DeleteFunc(entries(), func(e Entry) bool { return e.Scenario != scenario })
	slices.SortStableFunc(all, func(a, b Entry) int { return int(a.Kind - b.Kind) })
	return all
}

func entries() []Entry {
	return slices.Concat(floors, parts, breakerFloors, httpFloors, grpcEntries, redisEntries,
		sqlEntries, adaptiveEntries, avastEntries, awsEntries, cenkaltiEntries, eapacheEntries,
		failsafeEntries, failsafeBreakers, hashicorpEntries, hedgeEntries, limitEntries,
		sethvargoEntries, sonyEntries, mixedEntries, xtimeEntries, reboundEntries)
}

// Modules are the modules of the compared libraries, by the first part of an entry's Lib.
var Modules = map[string]string{
	"avast":            "github.com/avast/retry-go/v5",
	"aws-sdk":          "github.com/aws/aws-sdk-go-v2",
	"cenkalti":         "github.com/cenkalti/backoff/v7",
	"eapache":          "github.com/eapache/go-resiliency",
	"failsafe":         "github.com/failsafe-go/failsafe-go",
	"grpc-middleware":  "github.com/grpc-ecosystem/go-grpc-middleware/v2",
	"redis_rate":       "github.com/go-redis/redis_rate/v10",
	"hashicorp":        "github.com/hashicorp/go-retryablehttp",
	"hedgedhttp":       "github.com/cristalhq/hedgedhttp",
	"sethvargo":        "github.com/sethvargo/go-retry",
	"sony":             "github.com/sony/gobreaker/v2",
	"uber":             "go.uber.org/ratelimit",
	"x/sync/semaphore": "golang.org/x/sync",
	"x/time/rate":      "golang.org/x/time",
}
