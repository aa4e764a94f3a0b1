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

// ErrUnavailable matches, under [errors.Is], the rejections of a [Rate] with FailClosed while Redis
// is gone.
var ErrUnavailable = errors.New("redis is unavailable")

// errGone means that the fallback decides.
var errGone = errors.New("redis is gone")

// Error is what a [Rate] or a [Verdicts] returns if Redis can decide nothing. Its Err is
// [ErrUnavailable], or the error with which Redis rejected a command that it will reject always: a
// wrong password, a permission, a key of another type, a script that it does not run.
type Error struct {
	Name string // of the limit or the verdicts, such as "rate ocr"
	Err  error

	after func() time.Duration // until Redis is asked again; nil: not for a retry
}

func (e *Error) Error() string { return e.Name + ": redis: " + text(e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// DescribeFault returns the error's classification for [fault.Of]: Transient while Redis is
// unavailable, else Permanent. The attempt was never sent.
func (e *Error) DescribeFault() fault.Fault {
	f := fault.Fault{Kind: fault.Permanent, Sent: fault.NotSent, Detail: "redis", Err: e}
	if e.after != nil {
		f.Kind, f.After = fault.Transient, e.after()
	}
	return f
}

// text is the text of an error without the part that Redis adds for its authors.
func text(err error) string {
	s, _, _ := strings.Cut(err.Error(), " script: ")
	return s
}

// passing are the codes of Redis for what passes by itself, or by a failover: Redis is gone for
// now.
var passing = []string{
	"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY",
	"TRYAGAIN", "ERR max number of clients reached",
	moved, ask, // of a cluster that changes faster than go-redis follows
}

const moved, ask = "MOVED", "ASK"

// olderScript begins the errors of Redis 6 and older from within a script. The code follows there.
const olderScript = "ERR Error running script"

func passes(answer string) bool {
	for _, code := range passing {
		if strings.HasPrefix(answer, code+" ") || answer == code ||
			strings.HasPrefix(answer, olderScript) && strings.Contains(answer, " -"+code+" ") {
			return true
		}
	}
	return false
}

// unavailable reports whether an error of a client means that Redis is gone. Others are not to be
// expected to pass: a client for one server that belongs to a cluster never finds the key.
func unavailable(client any, err error) bool {
	if answer, ok := errors.AsType[redis.Error](err); ok {
		code, _, _ := strings.Cut(answer.Error(), " ")
		return passes(answer.Error()) && (code != moved && code != ask || follows(client))
	}
	return !lasting(err) && !errors.Is(err, redis.ErrClosed)
}

// lasting reports whether an error without an answer is that of a wrong configuration. A name that
// is not found and a socket that is not there may be those of a server that starts.
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
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) || errors.Is(err, redis.ErrPoolTimeout)
}

// scriptError is an answer that our script does not give.
type scriptError struct{ reply any }

func (e *scriptError) Error() string { return fmt.Sprintf("the script returned %v", e.reply) }
