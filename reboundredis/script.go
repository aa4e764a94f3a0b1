package reboundredis

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// bookScript books turns by the generic cell rate algorithm, as limit.Rate does, in whole µs of the
// server's clock. The key holds three numbers: the theoretical arrival time, at which the bucket is
// full again, the time of the last booking, and the time of a token in ns. If the clock has been
// set back since then, the debt does not change. If the limit has changed, the debt is converted to
// the time that its tokens take under the new limit, but never becomes longer. Without this, a
// higher limit would have no effect until the old debt was paid.
//
// ARGV: the time that gains the tokens of one turn, the time that fills the bucket, the number of
// turns, the longest wait for the first turn, the time of a token. The script returns 1 if the
// turns are booked, the wait for the first turn, and the arrival time. The wait is negative if the
// bucket holds more tokens. The times are strings, because Redis truncates Lua's numbers, which are
// floats.
var bookScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local cost, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
local count, limit, token = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local debt = 0
local held = redis.call('GET', KEYS[1])
if held then
  local at, last, before = string.match(held, '^(%d+) (%d+) (%d+)$')
  if not at then return redis.error_reply('WRONGTYPE the key holds no rate limit') end
  debt = math.max(at - math.max(last, now), 0)
  debt = math.min(debt, math.ceil(debt * token / before))
end
local wait = debt + cost - math.max(depth, cost)
local booked, tat = 0, now + debt
if wait <= limit then
  booked, tat = 1, tat + cost * count
  local value = string.format('%.0f %.0f %s', tat, now, token)
  redis.call('SET', KEYS[1], value, 'PX', math.ceil((tat - now) / 1000) + 1)
end
return {booked, string.format('%.0f', wait), string.format('%.0f', tat)}`)

// returnScript takes turns back, the last one first, unless a later turn has been booked. ARGV: for
// each turn, the arrival time after its booking, and its cost. It returns the number of turns taken
// back.
var returnScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
local at, rest = string.match(held or '', '^(%d+) (%d+ %d+)$')
local taken = 0
while at and ARGV[2 * taken + 1] == at do
  at = string.format('%.0f', at - ARGV[2 * taken + 2])
  taken = taken + 1
end
if taken > 0 then
  local ttl = math.max(redis.call('PTTL', KEYS[1]), 1)
  redis.call('SET', KEYS[1], at .. ' ' .. rest, 'PX', ttl)
end
return taken`)

// booking is the cost of one attempt's turn.
type booking struct {
	n      float64       // tokens
	cost   time.Duration // the time that gains them, in whole µs
	depth  time.Duration // the time that fills the bucket
	token  time.Duration // the time that gains one token, in ns
	leases bool          // several turns may be booked at once
}

// beyond returns the time from a booked turn to the arrival time after its booking.
func (b booking) beyond() time.Duration { return max(b.depth, b.cost) }

// turn is a booked right to begin an attempt.
type turn struct {
	at   time.Time     // the turn begins
	last time.Time     // the last time at which another attempt may use it
	n    float64       // tokens
	cost time.Duration // the time that gains them
	tat  int64         // the arrival time after its booking, in µs of the server's clock
}

// answer is what bookScript returns.
type answer struct {
	booked bool
	wait   time.Duration // until the first turn
	tat    int64         // the arrival time, in µs of the server's clock
}

// store is the bucket in Redis.
type store struct {
	client redis.Scripter
	key    string
}

// book books count turns, if the wait for the first is at most longest.
func (s store) book(
	ctx context.Context, b booking, count int, longest time.Duration,
) (answer, error) {
	v, err := bookScript.Run(ctx, s.client, []string{s.key}, b.cost.Microseconds(),
		b.depth.Microseconds(), count, longest.Microseconds(), b.token.Nanoseconds()).Result()
	if err != nil {
		return answer{}, err
	}
	// Any other answer is not from this script.
	if reply, _ := v.([]any); len(reply) == 3 {
		booked, ok := reply[0].(int64)
		wait, waitErr := number(reply[1])
		tat, tatErr := number(reply[2])
		if ok && waitErr == nil && tatErr == nil {
			return answer{booked == 1, time.Duration(wait) * time.Microsecond, tat}, nil
		}
	}
	return answer{}, &scriptError{v}
}

func number(v any) (int64, error) {
	s, _ := v.(string)
	return strconv.ParseInt(s, 10, 64)
}

// giveBack gives turns back to Redis. It returns how many of them, counted from the last, Redis has
// taken.
func (s store) giveBack(ctx context.Context, all []turn) (taken int, err error) {
	args := make([]any, 0, 2*len(all))
	for _, t := range slices.Backward(all) {
		args = append(args, t.tat, t.cost.Microseconds())
	}
	return returnScript.Run(ctx, s.client, []string{s.key}, args...).Int()
}
