package reboundslog_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundslog"
)

func TestOnLimit(t *testing.T) {
	var b bytes.Buffer
	into(&b).OnLimit(limit.Change{Name: "ocr", From: 20, To: 18})
	want := `level=DEBUG msg="rebound: limit changed" limit=ocr from=20 to=18`
	if got := strings.TrimSuffix(b.String(), "\n"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	quiet := reboundslog.Logger{To: slog.New(slog.NewTextHandler(io.Discard, nil))}
	quiet.OnLimit(limit.Change{}) // below the handler's level
}
