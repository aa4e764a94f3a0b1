package body

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// A body exists for every attempt until it is released and the last attempt has closed it. Its
// memory is returned once.
func TestHold(t *testing.T) {
	for _, known := range []bool{true, false} {
		m := New(10, 10)
		req := httptest.NewRequest("POST", "/", strings.NewReader("0123456789"))
		if !known {
			m = New(10, step)
			req.ContentLength = -1
		}
		full := func() bool {
			if !m.left.TryAcquire(m.max) {
				return true
			}
			m.left.Release(m.max)
			return false
		}
		release, err := m.Hold(req)
		if err != nil {
			t.Fatal(err)
		}
		if !known {
			m.left.TryAcquire(step - 10)
		}
		again, err := req.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_ = req.Body.Close()
		}
		if _, err := req.Body.Read(make([]byte, 1)); err == nil {
			t.Error("a closed body is read")
		}
		for range 2 {
			release()
		}
		if text, err := io.ReadAll(again); string(text) != "0123456789" || err != nil || !full() {
			t.Errorf("released under a reader: got %q, %v, full %v", text, err, full())
		}
		_ = again.Close()
		if full() {
			t.Error("the memory is not given back")
		}
		for range 2 {
			_ = again.Close()
			release()
		}
		if m.left.TryAcquire(m.max + 1) {
			t.Error("the memory is returned more than once")
		}
		if _, err := req.GetBody(); err == nil {
			t.Error("a released body is back")
		}
	}
}
