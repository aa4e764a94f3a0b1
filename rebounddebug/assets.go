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

// contentTypes are the types of the page's files. The system's tables are not used, because they
// differ between machines.
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
	// The page's address also serves JSON, so caches must keep the two apart.
	if name == indexPage {
		w.Header().Set("Vary", "Accept")
	}
	// There is no modification time: embedded files have none, and the page is not cached anyway.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// wantsJSON reports whether a request asks for JSON: in its query, or in its Accept header, with at
// least the quality of HTML if both are listed. Browsers do not list JSON.
func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	asJSON, asHTML := 0.0, 0.0
	for _, header := range r.Header.Values("Accept") {
		// A program may send several headers, each with several types; the best of each type counts.
		for part := range strings.SplitSeq(header, ",") {
			switch mediaType, q := accepted(part); mediaType {
			// Wildcards such as */* do not ask for JSON in particular.
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
	// The quality without a parameter. A quality that is not a number counts as 1, too.
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if v, err := strconv.ParseFloat(value, 64); err == nil && strings.EqualFold(name, "q") {
			q = v
		}
	}
	return strings.ToLower(strings.TrimSpace(mediaType)), q
}
