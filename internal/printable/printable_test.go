package printable_test

import (
	"testing"

	"github.com/rebound-go/rebound/internal/printable"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"":                      "",
		"ocr":                   "ocr",
		"api.example:443":       "api.example:443",
		`say "hi"`:              `say "hi"`,
		"領収書 ü":                 "領収書 ü",
		"evil\x1b[31mred\nline": `"evil\x1b[31mred\nline"`,
		"a\u202eb":              `"a\u202eb"`, // right-to-left override
		"a\u2066b":              `"a\u2066b"`, // isolate
		"a\u200bb":              `"a\u200bb"`, // zero width
		"a\u0085b":              `"a\u0085b"`, // C1 control
		"a\xffb":                `"a\xffb"`,
		"a\u00a0b":              `"a\u00a0b"`, // no-break space looks like another name
		" ocr":                  `" ocr"`,
		"ocr ":                  `"ocr "`,
		"tab\t":                 `"tab\t"`,
	} {
		if got := printable.Name(name); got != want {
			t.Errorf("Name(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestWidth(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "ocr": 3, "ü": 1, "u\u0308": 1, "領収書": 6, "한글": 4, "ＡＢ": 4, "🙂": 2, "é–…": 3,
	} {
		if got := printable.Width(text); got != want {
			t.Errorf("Width(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestColumns(t *testing.T) {
	rows := [][]string{{"name", "n", "remark"}, {"領収書", "10", "x"}, {"a"}, nil, {"é", "1", ""}}
	for _, row := range []struct {
		right func(int) bool
		want  string
	}{
		{func(int) bool { return false }, "name    n   remark\n領収書  10  x\na\n\né       1\n"},
		{func(i int) bool { return i == 1 }, "name     n  remark\n領収書  10  x\na\n\né        1\n"},
	} {
		if got := printable.Columns(rows, row.right); got != row.want {
			t.Errorf("got\n%swant\n%s", got, row.want)
		}
	}
}
