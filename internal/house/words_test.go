package house_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// CONTRIBUTING.md has the rules. The pages are measured without code, tables, headings and
// pictures. A list item is a sentence of its own. Sentences of under five words do not count.
const (
	maxMedian  = 15  // words of a sentence
	maxCommas  = 1.0 // in a sentence of a page, on average
	longWords  = 25
	maxLong    = .02 // of the sentences have more than longWords
	maxWords   = 40  // of any sentence
	minPerPage = 5   // sentences of a page with a meaningful median
)

// homeWords make things talk, or stand for a word of the glossary.
var homeWords = regexp.MustCompile(`(?i)\b(told|nobody|hears?|heard|patience|deaf|curious|` +
	`hopeless|sisters|makes no sense|time-outs?|of one's own|at the most)\b`)

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")
	notProse  = regexp.MustCompile(`(?m)^(\||#).*$`)
	picture   = regexp.MustCompile(`!\[[^\]]*\]\([^)]*\)`)
	codeSpan  = regexp.MustCompile("`[^`]*`")
	blockEnd  = regexp.MustCompile(`\n\s*(?:(?:[-*]|\d+\.) |\n)`)
	afterDot  = regexp.MustCompile(`[.?!]["”)]?\s+(["“(]?[A-Z])`)
)

func TestPagesReadWell(t *testing.T) {
	var all []string
	for page, text := range pages(t) {
		own := sentences(text)
		all = append(all, own...)
		if m := medianWords(own); len(own) >= minPerPage && m > maxMedian {
			t.Errorf("%s: the median sentence has %d words, want at most %d", page, m, maxMedian)
		}
		if n := commas(own); len(own) >= minPerPage && n > maxCommas {
			t.Errorf("%s: %.2f commas a sentence, want at most %v", page, n, maxCommas)
		}
		for _, s := range own {
			if n := len(strings.Fields(s)); n > maxWords {
				t.Errorf("%s: a sentence of %d words, want at most %d: %s", page, n, maxWords, s)
			}
			if page == "CONTRIBUTING.md" { // whose glossary lists them
				continue
			}
			if w := homeWords.FindString(s); w != "" {
				t.Errorf("%s: %q: see the words in CONTRIBUTING.md: %s", page, w, s)
			}
		}
	}
	long := 0
	for _, s := range all {
		if len(strings.Fields(s)) > longWords {
			long++
		}
	}
	if share := float64(long) / float64(len(all)); len(all) == 0 || share > maxLong {
		t.Errorf("%d of %d sentences have more than %d words, want a share of at most %v",
			long, len(all), longWords, maxLong)
	}
	t.Logf("%d sentences: median %d words, %.2f commas each, %d of more than %d words",
		len(all), medianWords(all), commas(all), long, longWords)
}

// commas is the mean number of commas in a sentence.
func commas(sentences []string) float64 {
	n := 0
	for _, s := range sentences {
		n += strings.Count(s, ",")
	}
	return float64(n) / float64(len(sentences))
}

func TestSentences(t *testing.T) {
	const page = "# A title\n\nOne sentence of five words. Another\nwith a [link](to/it) and `code, " +
		"here`!\n\n```go\nf()\n```\n\n- an item, which has no end\n- another item of five words\n" +
		"\n| a | b |\n"
	want := []string{"One sentence of five words.", "Another with a link and X!",
		"an item, which has no end", "another item of five words"}
	if got := sentences(page); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// sentences returns the sentences of a page. Code within a sentence is one word.
func sentences(text string) (all []string) {
	text = codeBlock.ReplaceAllString(text, "\n")
	text = notProse.ReplaceAllString(text, "\n")
	text = picture.ReplaceAllString(text, "")
	text = codeSpan.ReplaceAllString(text, "X")
	text = link.ReplaceAllString(text, "$1")
	text = strings.ReplaceAll("\n"+text, "**", "")
	for _, block := range blockEnd.Split(text, -1) {
		block = strings.Join(strings.Fields(block), " ")
		block = afterDot.ReplaceAllStringFunc(block, func(m string) string {
			return strings.Replace(m, " ", "\n", 1)
		})
		for s := range strings.SplitSeq(block, "\n") {
			if len(strings.Fields(s)) >= 5 {
				all = append(all, s)
			}
		}
	}
	return all
}

func medianWords(sentences []string) int {
	var counts []int
	for _, s := range sentences {
		counts = append(counts, len(strings.Fields(s)))
	}
	if len(counts) == 0 {
		return 0
	}
	slices.Sort(counts)
	return counts[len(counts)/2]
}

// homeWordsOfCode are those of comments and of texts that a user reads.
var homeWordsOfCode = regexp.MustCompile(homeWords.String() + `|(?i)\b(tells?|somebody|whoever|` +
	`in vain|second best|at the least|` +
	`let in|turn(ed)? away|kept out|keeps? out)\b`)

// The words hold for the comments and texts of the code, too, and for those of its tests.
func TestCodeUsesTheWords(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if strings.HasSuffix(f.path, "house/words_test.go") { // which lists them
			continue
		}
		for _, group := range f.Comments {
			if w := homeWordsOfCode.FindString(group.Text()); w != "" {
				t.Errorf("%s:%d: %q: see the words in CONTRIBUTING.md", f.path, line(group.Pos()), w)
			}
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING && strings.Contains(s.Value, " ") {
				if w := homeWordsOfCode.FindString(s.Value); w != "" {
					t.Errorf("%s:%d: %q: see the words in CONTRIBUTING.md", f.path, line(s.Pos()), w)
				}
			}
			return true
		})
	}
}
