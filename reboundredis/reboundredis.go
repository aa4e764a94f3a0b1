// Package reboundredis shares limits between processes through Redis 5 or newer, or Valkey.
//
//   - [Rate] is a rate limit for a fleet. All processes take tokens from one bucket in Redis.
//   - [Verdicts] opens the circuit breakers of all processes when the breaker of one process opens.
//
// The program works without Redis. While Redis is unavailable, a Rate falls back to the process's
// own share of the limit, and each breaker works by itself. A wrong password, a wrong address in a
// cluster or a key of another type is an error instead: a fallback would hide it for ever.
//
//	client := redis.NewClient(&redis.Options{
//		Addr: "localhost:6379", MaxRetries: -1, ContextTimeoutEnabled: true, DialerRetries: 1,
//	})
//	rate := &reboundredis.Rate{
//		Client: client, Key: "ocr", N: 100, Burst: 10, Wait: time.Second,
//		Local: &limit.Rate{N: 100.0 / 8, Burst: 2, Wait: time.Second}, // of 8 processes
//	}
//	policy := &rebound.Policy{Name: "ocr", Gates: []gate.Gate{rate}}
package reboundredis
