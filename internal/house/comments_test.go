package house_test

import (
	"go/scanner"
	"go/token"
	"path"
	"strings"
	"testing"
)

// minComments is the least share of comment lines to lines of code in a package of the library.
const minComments = .25

func TestCommentsAreMany(t *testing.T) {
	comments, code := map[string]int{}, map[string]int{}
	for _, f := range sourceFiles(t) {
		if f.test() || !f.library() {
			continue
		}
		m, c := count(f)
		comments[path.Dir(f.path)] += m
		code[path.Dir(f.path)] += c
	}
	for dir, n := range comments {
		share := float64(n) / float64(code[dir])
		t.Logf("%s: %.3f", dir, share)
		if share < minComments {
			t.Errorf("%s: %d lines of comments to %d of code, want at least %g of them",
				dir, n, code[dir], minComments)
		}
	}
}

// count returns how many lines of a file have a comment and nothing else, and how many have code.
func count(f *sourceFile) (comments, code int) {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile(f.path, -1, len(f.src))
	s.Init(file, f.src, nil, scanner.ScanComments)
	words, explained := map[int]bool{}, map[int]bool{}
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			break
		}
		lines := words
		if tok == token.COMMENT {
			lines = explained
		}
		for i := range strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1 {
			lines[file.Line(pos)+i] = true
		}
	}
	for l := range explained {
		if !words[l] {
			comments++
		}
	}
	return comments, len(words)
}
