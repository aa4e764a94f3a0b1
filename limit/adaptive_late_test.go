package limit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/gate"
)

// A goroutine that is interrupted in Leave adds its sample after the end of its window. The next
// window still lasts a second.
func TestAdaptiveLateSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Adaptive{Initial: 5, Target: time.Hour}
		leave := func(n int) {
			for range n {
				p, err := a.Enter(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				p.B = 5
				a.Leave(p, gate.Outcome{Result: gate.OK})
			}
		}
		leave(20)
		time.Sleep(time.Second)
		leave(1)
		if got := a.Snapshot().Limit; got != 6 {
			t.Fatalf("limit %v after the first window, want 6", got)
		}
		a.served.Add(1<<tickBits | 1) // the end of addQuickly
		leave(20)
		if got := a.Snapshot().Limit; got != 6 {
			t.Errorf("limit %v in the middle of the second window, want 6", got)
		}
		time.Sleep(time.Second)
		leave(1)
		if got := a.Snapshot().Limit; got != 7 {
			t.Errorf("limit %v after the second window, want 7", got)
		}
	})
}
