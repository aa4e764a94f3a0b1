package chart

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"
)

// head is the beginning of a document that loads no other files. Its verbs are the title, the title
// again and the text about the figure.
const head = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s - rebound sim</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
svg { width: 100%%; height: auto }
table { border-collapse: collapse }
th, td { text-align: right; padding: .2em .8em; border-bottom: 1px solid #ccc }
th:first-child, td:first-child { text-align: left }
</style>
<h1>%s</h1>
<p>%s</p>
<table>
`

// html writes the figure and its table as a page. It does without html/template: see
// TestLinkerDropsMethods in internal/house.
func (f *figure) html(out io.Writer) error {
	var svg bytes.Buffer
	if err := f.svg(&svg); err != nil {
		return err
	}
	var b strings.Builder
	title := html.EscapeString(f.title)
	fmt.Fprintf(&b, head, title, title, html.EscapeString(f.about))
	tag := "<th>"
	for _, row := range f.table {
		b.WriteString("<tr>")
		for _, cell := range row {
			b.WriteString(tag + html.EscapeString(cell))
		}
		b.WriteString("\n")
		tag = "<td>"
	}
	// The text in the SVG is escaped already. The header before <svg does not belong in HTML.
	picture := svg.String()
	b.WriteString("</table>\n" + picture[strings.Index(picture, "<svg"):] + "\n</html>\n")
	_, err := io.WriteString(out, b.String())
	return err
}
