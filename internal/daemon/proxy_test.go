package daemon

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestProxy(t *testing.T) {
	echo := Listen(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	p := NewProxy(t, echo)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c := dial()
	ask := func(within time.Duration) error {
		_, _ = c.Write([]byte("x"))
		_ = c.SetReadDeadline(time.Now().Add(within))
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	const long = 10 * time.Second
	if err := ask(long); err != nil {
		t.Fatal(err)
	}
	p.Freeze()
	p.Freeze()
	if err := ask(50 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("frozen: %v", err)
	}
	p.Thaw()
	p.Thaw()
	if _ = c.SetReadDeadline(time.Now().Add(long)); ask(long) != nil {
		t.Error("no answer after Thaw")
	}
	c = dial()
	p.Delay(30 * time.Millisecond)
	begun := time.Now()
	if err := ask(long); err != nil || time.Since(begun) < 60*time.Millisecond {
		t.Errorf("%v after %v, want an answer after a delay each way", err, time.Since(begun))
	}
	p.Lose()
	if err := ask(50 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("lost: %v", err)
	}
	if c = dial(); ask(long) != nil {
		t.Error("no answer to a connection after Lose")
	}
	p.Cut()
	if err := ask(long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("cut: %v", err)
	}
	p.Delay(0)
	if c = dial(); ask(long) != nil {
		t.Error("no answer to a new connection")
	}
}
