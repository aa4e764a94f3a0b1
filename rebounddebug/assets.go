package rebounddebug

import (
	"bytes"
	"embed"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed page
var assets embed.FS

const indexPage = "index.html"

// contentTypes are the types of the page's files. They are listed here, because the tables of
// operating systems differ.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// serveAsset serves one of the files that make up the page.
func serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	content, err := assets.ReadFile("page/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", contentTypes[path.Ext(name)])
	// The page's address also serves JSON, so caches must distinguish the two.
	if name == indexPage {
		w.Header().Set("Vary", "Accept")
	}
	// Embedded files have no modification time, and the page is not cached anyway.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// wantsJSON reports whether a request asks for JSON in its query or its Accept header. If the
// header lists both, the quality of JSON must be at least that of HTML. Browsers do not list JSON.
func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	asJSON, asHTML := 0.0, 0.0
	for _, header := range r.Header.Values("Accept") {
		// A program may send several headers, each with several types; the best of each type counts.
		for part := range strings.SplitSeq(header, ",") {
			switch mediaType, q := accepted(part); mediaType {
			// A wildcard such as */* is not a request for JSON.
			case "application/json":
				asJSON = max(asJSON, q)
			case "text/html":
				asHTML = max(asHTML, q)
			}
		}
	}
	return asJSON > 0 && asJSON >= asHTML
}

// accepted parses one element of an Accept header: RFC 9110, section 12.5.1.
func accepted(part string) (mediaType string, q float64) {
	mediaType, parameters, _ := strings.Cut(part, ";")
	// Without a valid q parameter, the quality is 1.
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if v, err := strconv.ParseFloat(value, 64); err == nil && strings.EqualFold(name, "q") {
			q = v
		}
	}
	return strings.ToLower(strings.TrimSpace(mediaType)), q
}
