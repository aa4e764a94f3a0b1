package rows

import (
	"net/url"
	"strings"
	"testing"
)

// A message about a URL leaves out the query, because it may contain a key.
func TestMessagesHaveNoQuery(t *testing.T) {
	base, _ := url.Parse("https://api.example.com")
	for _, where := range []Targets{{}, {Base: base}} {
		for _, ref := range []string{"https://evil.example/v1?key=sk-1#sk-2", "v1?key=sk-1"} {
			_, err := where.resolve(ref)
			if err != nil && strings.Contains(err.Error(), "sk-") {
				t.Errorf("%v has a key", err)
			}
		}
	}
}
