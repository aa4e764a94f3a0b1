package stats

import (
	"slices"
	"testing"
	"time"
)

func TestPercents(t *testing.T) {
	for _, test := range []struct {
		ns   []int64
		want []string
	}{
		{nil, nil},
		{[]int64{0, 0}, []string{"0.0%", "0.0%"}},
		{[]int64{5, 0}, []string{"100.0%", "0.0%"}},
		{[]int64{1, 1, 1}, []string{"33.4%", "33.3%", "33.3%"}},
		{[]int64{2, 1}, []string{"66.7%", "33.3%"}},
		{[]int64{1, 1, 1, 1, 1, 1}, []string{"16.7%", "16.7%", "16.7%", "16.7%", "16.6%", "16.6%"}},
		{[]int64{9999, 1}, []string{">99.9%", "<0.1%"}},
		{[]int64{1 << 62, 1 << 62, 1 << 62}, []string{"33.4%", "33.3%", "33.3%"}},
	} {
		if got := percents(test.ns...); !slices.Equal(got, test.want) {
			t.Errorf("percents(%v) = %v, want %v", test.ns, got, test.want)
		}
	}
}

func TestRounded(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                     "0s",
		123:                                   "123ns",
		1234567:                               "1.23ms",
		999999999:                             "1s",
		12345 * time.Millisecond:              "12.3s",
		59*time.Minute + 1234567890:           "59m1s",
		100*time.Hour + 1500*time.Millisecond: "100h0m2s",
	} {
		if got := rounded(d).String(); got != want {
			t.Errorf("rounded(%v) = %v, want %v", d, got, want)
		}
	}
}

// FuzzApportion checks that the parts are the whole, and each within one of its exact share.
func FuzzApportion(f *testing.F) {
	f.Add(int64(1), int64(2), int64(3), int64(4))
	f.Add(int64(1)<<62, int64(1), int64(0), int64(7))
	f.Fuzz(func(t *testing.T, a, b, c, d int64) {
		ns := []int64{max(a, 0), max(b, 0), max(c, 0), max(d, 0)}
		shares := apportion(ns, 1000)
		var sum float64
		whole := 0
		for i, share := range shares {
			sum += float64(ns[i])
			whole += share
		}
		if sum == 0 {
			sum = 1
		} else if whole != 1000 {
			t.Errorf("apportion(%v) = %v, which is %d in all, want 1000", ns, shares, whole)
		}
		for i, share := range shares {
			exact := 1000 * float64(ns[i]) / sum
			if float64(share) < exact-1 || float64(share) > exact+1 {
				t.Errorf("apportion(%v)[%d] = %d, want %.2f or next to it", ns, i, share, exact)
			}
		}
	})
}
