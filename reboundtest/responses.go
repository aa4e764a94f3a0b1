package reboundtest

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

// Step is how a [Server] handles one request. Any handler function may be a Step. The request's
// context ends when the client disconnects.
type Step func(http.ResponseWriter, *http.Request)

// Answer sends a complete response: a status, a body, and headers as alternating names and values.
// It panics if a name has no value.
//
//	Answer(429, "slow down", "Retry-After", "2")
func Answer(status int, body string, header ...string) Step {
	h := pairs(header)
	return func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), h)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// CutBody sends a 200 whose connection breaks in the middle of the body. The client gets the header
// and the given part of the body, and then io.ErrUnexpectedEOF.
func CutBody(part string, header ...string) Step {
	h := pairs(header)
	return func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), h)
		io.WriteString(w, part)
		// The part must be sent before the connection breaks. Otherwise the client would get none of it.
		http.NewResponseController(w).Flush()
		hangUp()
	}
}

// Delay waits for d before it runs step, unless the client disconnects first.
func Delay(d time.Duration, step Step) Step {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			step(w, r)
		case <-r.Context().Done():
			hangUp()
		}
	}
}

// Hang never answers. It waits until the client disconnects.
func Hang() Step {
	return func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		hangUp()
	}
}

// Drop closes the connection without an answer: the client gets io.EOF.
func Drop() Step {
	return func(http.ResponseWriter, *http.Request) { hangUp() }
}

// Reset breaks the connection without an answer: the client gets ECONNRESET.
func Reset() Step {
	return takeOver(func(conn net.Conn) {
		// With a linger of 0, Close discards unsent data and sends a RST.
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
	})
}

// Garbage answers with text that is not HTTP, and closes the connection.
func Garbage() Step {
	return takeOver(func(conn net.Conn) { io.WriteString(conn, "SSH-2.0-not-HTTP\r\n") })
}

// takeOver calls do with the connection itself, and then closes the connection.
func takeOver(do func(net.Conn)) Step {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(fmt.Errorf("reboundtest: this step needs HTTP/1.1: %w", err))
		}
		do(conn)
		conn.Close()
	}
}

// hangUp ends a handler and closes its connection, without a response and without a log line.
func hangUp() { panic(http.ErrAbortHandler) }

// pairs panics for an odd number of texts: a test with this mistake would test the wrong thing.
func pairs(header []string) http.Header {
	if len(header)%2 != 0 {
		panic(fmt.Sprintf("reboundtest: the last header of %q has no value: want names and values "+
			"in turn", header))
	}
	h := http.Header{}
	for pair := range slices.Chunk(header, 2) {
		h.Add(pair[0], pair[1])
	}
	return h
}
