package store

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestMarks(t *testing.T) {
	for _, m := range []mark{
		{kind: 'B', key: Key{1, 2, 255}},
		{kind: 'S', row: Row{1, 2}, cost: 3},
		{kind: 'S'},
		{kind: 'S', row: Row{math.MaxUint64, math.MaxUint32}, cost: math.MaxInt64},
		{kind: 'S', cost: -1},
		{kind: 'R', row: Row{ID: math.MaxUint64}},
		{kind: 'G', generation: 12, cost: 1e9},
	} {
		line := m.append(nil)
		text, newline := bytes.CutSuffix(line, []byte("\n"))
		if got, ok := parseMark(text); !ok || !newline || got != m || len(line) > maxMark {
			t.Errorf("%q: got %+v, %v, want %+v", line, got, ok, m)
		}
		for i := range text {
			if !tornMark(text[:i+1]) {
				t.Errorf("%q is not taken as torn", text[:i+1])
			}
			if _, ok := parseMark(text[:i]); ok {
				t.Errorf("%q, torn, is a mark", text[:i])
			}
			changed := bytes.Clone(text)
			changed[i] ^= 1
			if got, ok := parseMark(changed); ok {
				t.Errorf("%q, changed, is %+v", changed, got)
			}
		}
	}
}

func TestNoMarks(t *testing.T) {
	for _, text := range []string{"", " ", "S", "X 1", "B 12", "G 1", "R x", "R 1 2",
		"S 1 2", "S 1 2 3 4", "S g 2 3", "BB 1", "S -1 2 3"} {
		if m, ok := parseMark(withSum(text)); ok {
			t.Errorf("%q is %+v", text, m)
		}
	}
	for _, text := range []string{"Dear", "s 1", "S 1\n", "Big", strings.Repeat("S", maxMark)} {
		if tornMark([]byte(text)) {
			t.Errorf("%q is taken as a torn mark", text)
		}
	}
}
