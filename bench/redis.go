package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/reboundredis"
)

// redisEntries take a turn of a rate limit from a stub of Redis on loopback. The stub has one
// answer to every script, so that the client is measured.
var redisEntries = []Entry{
	{"redis_rate", "floor", Floor, "a bare EVALSHA", redisScript, nil, nil},
	{"redis_rate", "redis_rate", Peer, "Allow: does not wait", redisRatePeer, nil, nil},
	{"redis_rate", "rebound", Ours, "Take", func() Op { return redisRate(1000) }, nil, nil},
	{"redis_rate", "rebound+leases", Ours, "up to 100 turns in a round trip", func() Op {
		return redisRate(1e6)
	}, nil, nil},
}

func redisScript() Op {
	client := redisClient(redisTurn)
	return func(ctx context.Context, id int) (int, error) {
		err := client.EvalSha(ctx, "0", []string{"k"}, 1000, 1000, 1, 0).Err()
		if err != nil {
			return 0, err
		}
		return work(ctx, id)
	}
}

func redisRatePeer() Op {
	// Allowed, remaining, and the time until a retry and until the bucket is full.
	client := redisClient("*4\r\n:1\r\n:1\r\n$2\r\n-1\r\n$1\r\n0\r\n")
	r := redis_rate.NewLimiter(client)
	return func(ctx context.Context, id int) (int, error) {
		v, err := r.Allow(ctx, "k", redis_rate.PerSecond(1000))
		if err != nil {
			return 0, err
		}
		if v.Allowed == 0 {
			return 0, errLimited
		}
		return work(ctx, id)
	}
}

func redisRate(perSecond float64) Op {
	r := &reboundredis.Rate{
		Client: redisClient(redisTurn), Key: "k", N: perSecond, Burst: 1e6, FailClosed: true,
		Timeout: time.Minute,
	}
	return func(ctx context.Context, id int) (int, error) {
		if err := r.Take(ctx, 1); err != nil {
			return 0, err
		}
		return work(ctx, id)
	}
}

// redisClient returns the client of a new server. The server is never closed, because the operation
// needs it until the program ends.
func redisClient(answer string) *redis.Client {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveRedis(conn, answer)
		}
	}()
	return redis.NewClient(&redis.Options{
		Addr: listener.Addr().String(), MaxRetries: -1, ContextTimeoutEnabled: true, Protocol: 2,
	})
}

// redisTurn is the answer of our script: a turn that began a second ago.
const redisTurn = "*3\r\n:1\r\n$8\r\n-1000000\r\n$1\r\n0\r\n"

// serveRedis answers every script with a turn, and every other command with an error.
func serveRedis(conn net.Conn, turn string) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		command, err := readCommand(in)
		if err != nil {
			return
		}
		answer := "-ERR unknown command\r\n"
		if command == "evalsha" {
			answer = turn
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// readCommand reads a command in the protocol of Redis, and returns its name.
func readCommand(in *bufio.Reader) (name string, err error) {
	var words int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &words); err != nil {
		return "", err
	}
	for i := range words {
		var size int
		if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
			return "", err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(in, word); err != nil {
			return "", err
		}
		if i == 0 {
			name = string(word[:size])
		}
	}
	return name, nil
}
