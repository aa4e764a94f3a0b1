package reboundredis_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundredis"
)

// Eight processes share 100 attempts per second. No Redis runs here, so the local share decides.
func ExampleRate() {
	client := redis.NewClient(&redis.Options{
		Addr:                  "localhost:1",
		MaxRetries:            -1,
		DialerRetries:         1,
		ContextTimeoutEnabled: true,
	})
	defer client.Close()
	rate := &reboundredis.Rate{
		Client: client,
		Key:    "ocr",
		N:      100,
		Burst:  10,
		Wait:   time.Second,
		Local:  &limit.Rate{Name: "ocr, local", N: 100.0 / 8, Burst: 2, Wait: time.Second},
	}
	policy := &rebound.Policy{Name: "ocr", Gates: []gate.Gate{rate}}
	text, err := rebound.Do(context.Background(), policy, func(context.Context) (string, error) {
		return "a receipt", nil
	})
	fmt.Println(text, err)
	// Output: a receipt <nil>
}

// The breaker opens together with those of the other processes. No Redis runs here, so it works
// alone.
func ExampleVerdicts() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:1", DialerRetries: 1})
	defer client.Close()
	verdicts := &reboundredis.Verdicts{Client: client, Key: "ocr"}
	ocr := &breaker.Breaker{Name: "ocr", OnChange: verdicts.OnChange}
	if err := verdicts.Start(context.Background(), ocr); err != nil {
		fmt.Println(err)
	}
	defer verdicts.Close()
	fmt.Println(ocr.State())
	// Output: closed
}
