package reboundredis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/fault"
)

// ErrUnavailable matches, by errors.Is, the rejections of a [Rate] with FailClosed while Redis is
// unavailable.
var ErrUnavailable = errors.New("redis is unavailable")

// errGone means that Redis is unavailable, so that the fallback decides.
var errGone = errors.New("redis is gone")

// Error is the error of a [Rate] or a [Verdicts] when Redis cannot be used. Its Err is
// [ErrUnavailable], or an error that will not pass by itself. Examples are a wrong password, a
// missing permission, a key of another type, a script that Redis does not run, and an invalid
// certificate.
type Error struct {
	Name string // of the limit or the verdicts, such as "rate ocr"
	Err  error

	after func() time.Duration // until Redis is used again; nil = a retry does not help
}

func (e *Error) Error() string { return e.Name + ": redis: " + text(e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// DescribeFault returns the error's classification for [fault.Of]: Transient while Redis is
// unavailable, otherwise Permanent. The attempt was never sent.
func (e *Error) DescribeFault() fault.Fault {
	f := fault.Fault{Kind: fault.Permanent, Sent: fault.NotSent, Detail: "redis", Err: e}
	if e.after != nil {
		f.Kind, f.After = fault.Transient, e.after()
	}
	return f
}

// text returns the text of an error without the details that Redis adds for authors of scripts.
func text(err error) string {
	s, _, _ := strings.Cut(err.Error(), " script: ")
	return s
}

// passing are the codes of errors that pass by themselves or by a failover. Redis counts as
// unavailable in the meantime.
var passing = []string{
	"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY",
	"TRYAGAIN", "ERR max number of clients reached",
	moved, ask, // of a cluster that changes faster than go-redis follows
}

const moved, ask = "MOVED", "ASK"

// olderScript is the start of errors inside a script in Redis 6 and older. The code is later in the
// text.
const olderScript = "ERR Error running script"

// passes reports whether an error of Redis has one of these codes.
func passes(answer string) bool {
	for _, code := range passing {
		if strings.HasPrefix(answer, code+" ") || answer == code ||
			strings.HasPrefix(answer, olderScript) && strings.Contains(answer, " -"+code+" ") {
			return true
		}
	}
	return false
}

// unavailable reports whether an error of a client means that Redis is unavailable. Other errors do
// not pass by themselves. An example is a client for a single server that belongs to a cluster: it
// never reaches the key.
func unavailable(client any, err error) bool {
	if answer, ok := errors.AsType[redis.Error](err); ok {
		code, _, _ := strings.Cut(answer.Error(), " ")
		return passes(answer.Error()) && (code != moved && code != ask || follows(client))
	}
	return !lasting(err) && !errors.Is(err, redis.ErrClosed)
}

// lasting reports whether an error without an answer is due to a wrong configuration. An unknown
// host or a missing socket is not, because the server may be starting.
func lasting(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && strings.HasSuffix(op.Op, " error") {
		return fault.Of(err).Kind == fault.Permanent // an alert of TLS
	}
	return isType[*tls.CertificateVerificationError](err) || isType[tls.RecordHeaderError](err) ||
		isType[*net.AddrError](err) || isType[*scriptError](err)
}

func isType[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	// If the pool has no free connection, Redis is slow.
	return ok && timeout.Timeout() || errors.Is(err, context.Canceled) ||
		errors.Is(err, redis.ErrPoolTimeout)
}

// scriptError is an answer that this package's script never returns.
type scriptError struct{ reply any }

func (e *scriptError) Error() string { return fmt.Sprintf("the script returned %v", e.reply) }
