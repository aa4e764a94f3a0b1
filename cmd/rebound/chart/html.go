package chart

import (
	"bytes"
	"html/template"
	"io"
	"strings"
)

// page is a document that loads no other files.
var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} - rebound sim</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
svg { width: 100%; height: auto }
table { border-collapse: collapse }
th, td { text-align: right; padding: .2em .8em; border-bottom: 1px solid #ccc }
th:first-child, td:first-child { text-align: left }
</style>
<h1>{{.Title}}</h1>
<p>{{.About}}</p>
<table>
{{range $i, $row := .Table}}<tr>{{range $row}}{{if $i}}<td>{{else}}<th>{{end}}{{.}}{{end}}
{{end}}</table>
{{.Picture}}
</html>
`))

func (f *figure) html(out io.Writer) error {
	var svg bytes.Buffer
	if err := f.svg(&svg); err != nil {
		return err
	}
	text := svg.String()
	return page.Execute(out, map[string]any{
		"Title": f.title, "About": f.about, "Table": f.table,
		// The text in the SVG is escaped already. The header before <svg does not belong in HTML.
		"Picture": template.HTML(text[strings.Index(text, "<svg"):]),
	})
}
