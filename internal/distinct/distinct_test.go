package distinct_test

import (
	"testing"

	"github.com/rebound-go/rebound/internal/distinct"
)

func TestAdd(t *testing.T) {
	var o distinct.Objects
	a, b := new(int), new(int)
	type list struct{ Of []int }
	for i, row := range []struct {
		object any
		want   bool
	}{
		{a, true}, {a, false}, {b, true}, {b, false}, {nil, false}, {(*int)(nil), false},
		{list{}, true}, {list{}, true}, {any(list{}), true}, {struct{ any }{[]int{}}, true},
		{"name", true}, {"name", false},
	} {
		if got := o.Add(row.object); got != row.want {
			t.Errorf("row %d: %v is new: %t, want %t", i, row.object, got, row.want)
		}
	}
}
