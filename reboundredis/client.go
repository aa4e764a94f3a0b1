package reboundredis

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/redis/go-redis/v9"
)

// checkClient returns what a client of go-redis lacks. It has set what is 0 to its defaults.
func checkClient(c any) error {
	if v := reflect.ValueOf(c); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("is nil: want a client of go-redis")
	}
	retries, timeouts := 0, true
	switch c := c.(type) {
	case *redis.Client:
		retries, timeouts = c.Options().MaxRetries, c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		retries, timeouts = c.Options().MaxRetries, c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		retries, timeouts = c.Options().MaxRetries, c.Options().ContextTimeoutEnabled
	}
	switch {
	case retries > 0:
		return fmt.Errorf("has MaxRetries %d: want -1, as a retry may book a second turn", retries)
	case !timeouts:
		return fmt.Errorf("has ContextTimeoutEnabled false: want true, as Timeout is none without it")
	}
	return nil
}
