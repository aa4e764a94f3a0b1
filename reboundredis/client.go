package reboundredis

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// checkClient validates the options of a go-redis client, in which go-redis has replaced zeros by
// its defaults.
func checkClient(c any) error {
	if isNil(c) {
		return errors.New("is nil: want a client of go-redis")
	}
	// The options of other clients cannot be read, so they are not checked.
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
		return fmt.Errorf("has MaxRetries %d: want -1, because a retry may book a second turn", retries)
	case !timeouts:
		return fmt.Errorf("has ContextTimeoutEnabled false: want true, because Timeout needs it")
	}
	return nil
}

// follows reports whether a client may follow the redirections of a cluster. A client that is not
// from go-redis may follow them.
func follows(c any) bool {
	switch c.(type) {
	case *redis.Client, *redis.Ring:
		return false
	}
	return true
}

// isNil reports whether a client is nil, or a nil pointer in an interface, whose methods would
// panic.
func isNil(c any) bool {
	v := reflect.ValueOf(c)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// printable returns a key as errors show it. It quotes special characters, because a key may hold
// any bytes.
func printable(key string) string {
	if quoted := strconv.Quote(key); quoted != `"`+key+`"` {
		return quoted
	}
	return key
}
