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

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// serveAsset serves one of the files that make up the page. Types are not asked from the system,
// whose tables differ.
func serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	content, err := assets.ReadFile("page/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", contentTypes[path.Ext(name)])
	// The page's address serves JSON to programs, too, so caches must not mix them up.
	if name == indexPage {
		w.Header().Set("Vary", "Accept")
	}
	// No time of change: embedded files have none, and the page is not cached anyway.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// wantsJSON reports whether a request asks for JSON: in its query, or by naming it among what it
// accepts, with no lower a quality than HTML, if that is named too.
func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	asJSON, asHTML := 0.0, 0.0
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			switch mediaType, q := accepted(part); mediaType {
			case "application/json":
				asJSON = max(asJSON, q)
			case "text/html":
				asHTML = max(asHTML, q)
			}
		}
	}
	return asJSON > 0 && asJSON >= asHTML
}

// accepted reads one element of an Accept header: RFC 9110, section 12.5.1.
func accepted(part string) (mediaType string, q float64) {
	mediaType, parameters, _ := strings.Cut(part, ";")
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if v, err := strconv.ParseFloat(value, 64); err == nil && strings.EqualFold(name, "q") {
			q = v
		}
	}
	return strings.ToLower(strings.TrimSpace(mediaType)), q
}
