package strictjson

import (
	"fmt"
	"math"
	"strings"
)

// Hint suggests the known name that is most like name. If none is like it, Hint lists all of them.
// It never suggests several, because a reader would have to search them, too.
func Hint(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "want one of " + strings.Join(known, ", ")
}

// nearest returns the known name that differs from name by a typing error or begins like it, or "".
func nearest(name string, known []string) (best string) {
	// If several names are equally near, the first one counts.
	least := math.MaxInt
	for _, k := range known {
		// A guess in which more than a third of the letters differ would mislead.
		d, typos := distance(name, k), max(len(name), len(k))/3
		// An abbreviation, or a name with something added.
		alike := len(name) >= 5 && strings.HasPrefix(k, name[:5]) ||
			len(k) >= 3 && strings.HasPrefix(name, k)
		if d < least && (alike || d <= max(typos, 1)) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with the next one
// (restricted Damerau–Levenshtein distance). Case and word separators cost nothing. Names are
// short, so the whole table is kept.
func distance(a, b string) int {
	// max-elapsed and maxElapsed are the same word in another style.
	plain := strings.NewReplacer("-", "", "_", "", " ", "")
	a, b = strings.ToLower(plain.Replace(a)), strings.ToLower(plain.Replace(b))
	rows := make([][]int, len(a)+1)
	for i := range rows {
		// The distance to the empty word is one deletion for each letter.
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			// The last step was an insertion, a deletion or a replacement, which is free for equal letters.
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			// Or two adjacent letters were swapped.
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
