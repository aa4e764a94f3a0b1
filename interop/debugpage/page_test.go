package debugpage

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rebound-go/rebound/rebounddebug"
)

var update = flag.Bool("update", false, "make the screenshots in docs/img anew")

// card is a breaker on the page.
func card(name, rest string) string {
	return fmt.Sprintf(`article[data-key="%s"]%s`, name, rest)
}

// calls is the number of a policy's calls on the page.
func calls(policy string) string {
	return fmt.Sprintf(`Number(document.querySelector('#policies tr[data-key="%s"]')`+
		`.cells[1].textContent)`, policy)
}

func present(selector string) string {
	return fmt.Sprintf("document.querySelector('%s') !== null", selector)
}

// TestPage watches a run of the receipts from its start until both services have been down.
func TestPage(t *testing.T) {
	ctx := browser(t)
	page, origin := receipts(t, "-speed", "25")
	address, _, _ := strings.Cut(page, "#")
	seen := watch(t, ctx)
	do(t, ctx, chromedp.Navigate(page))

	until(t, ctx, present(`#policies tr[data-key="ocr"]`))
	until(t, ctx, present(`#policies tr[data-key="vision"]`))
	until(t, ctx, calls("ocr")+" > 2")
	if got := eval[string](t, ctx, "location.href"); got != address {
		t.Errorf("the address shown is %s, want %s, without the token", got, address)
	}
	forceOpen(t, ctx)
	crossSite(t, ctx, address)

	listen(t, ctx)
	until(t, ctx, present(card("ocr", `[data-state="open"]`)))
	until(t, ctx, `news.includes("Breaker ocr is open: failures in a row.")`)
	until(t, ctx, present(card("ocr", `[data-state="closed"]`)))
	for _, state := range []string{"open", "closed"} {
		if !eval[bool](t, ctx, present(card("ocr", " .history ."+state))) {
			t.Errorf("the picture of the OCR breaker has nothing %s", state)
		}
	}
	until(t, ctx, present(card("vision", `[data-state="open"]`)))
	until(t, ctx, present("#failures tr"))
	looks(t, ctx, "debug-page")
	seen.check(t, origin)
}

// listen has the page keep all texts for screen readers.
func listen(t *testing.T, ctx context.Context) {
	do(t, ctx, chromedp.Evaluate(`window.news = ""; new MutationObserver(() => {
		news += document.getElementById("news").textContent;
	}).observe(document.getElementById("news"), {childList: true, characterData: true}); 0`, nil))
}

// forceOpen forces the vision breaker open by keyboard, checks that calls are rejected, also after
// a reload, and resets it.
func forceOpen(t *testing.T, ctx context.Context) {
	unattempted := `Number((document.querySelector('#policies tr[data-key="vision"]').cells[2]` +
		`.textContent.match(/(\d+)\snot/) || [0, 0])[1])`
	forced := present(card("vision", `[data-state="open"]`)) + " && " +
		`document.querySelector('` + card("vision", " .badge") + `').textContent === "open, forced"`
	do(t, ctx,
		chromedp.Focus(`button[aria-label="Force open: vision"]`, chromedp.ByQuery),
		chromedp.KeyEvent(kb.Enter))
	until(t, ctx, forced)
	before := eval[int](t, ctx, unattempted)
	until(t, ctx, fmt.Sprintf("%s > %d", unattempted, before+2))
	do(t, ctx, chromedp.Reload())
	until(t, ctx, forced)
	until(t, ctx, fmt.Sprintf("%s > %d", unattempted, before+4))
	do(t, ctx, chromedp.Click(`button[aria-label="Reset: vision"]`, chromedp.ByQuery))
	until(t, ctx, present(card("vision", `[data-state="closed"]`)))
}

// crossSite tries to open the breakers from a page of another site.
func crossSite(t *testing.T, ctx context.Context, address string) {
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method="post" action="%s"><input name="breaker" value="ocr">`+
			`<input name="set" value="open"></form>`, address)
	}))
	defer evil.Close()
	tab, cancel := chromedp.NewContext(ctx)
	defer cancel()
	do(t, tab)
	seen := watch(t, tab)
	site := strings.Replace(evil.URL, "127.0.0.1", "localhost", 1) // another one than 127.0.0.1
	do(t, tab, chromedp.Navigate(site),
		chromedp.Evaluate(`document.forms[0].submit()`, nil),
		chromedp.WaitVisible("pre", chromedp.ByQuery))
	if got := seen.status("POST " + address); got != http.StatusForbidden {
		t.Errorf("a form of another site: status %d, want %d", got, http.StatusForbidden)
	}
	do(t, tab, chromedp.Navigate(site))
	post := `fetch(%q, {method: "POST", %s ` +
		`body: new URLSearchParams({breaker: "ocr", set: "open"})}).then((r) => r.type, () => "refused")`
	for _, options := range []string{
		`mode: "no-cors",`, `headers: {Authorization: "Bearer guess"},`,
	} {
		got := ""
		do(t, tab, chromedp.Evaluate(fmt.Sprintf(post, address, options), &got, awaited))
		if got != "refused" {
			t.Errorf("fetch with %s from another site: %q, want it rejected", options, got)
		}
	}
	if eval[bool](t, ctx, present(card("ocr", " .badge"))+
		` && document.querySelector('`+card("ocr", " .badge")+`').textContent.includes("forced")`) {
		t.Error("another site has forced the OCR breaker open")
	}
}

// TestRebinding tries to read the page from a site whose name now points to this machine.
func TestRebinding(t *testing.T) {
	ctx := browser(t)
	server := httptest.NewServer(rebounddebug.Handler(rebounddebug.Options{Title: "secret"}))
	defer server.CloseClientConnections()
	for host, served := range map[string]bool{
		"127.0.0.1": true, "localhost": true, "rebound.evil.example": false,
	} {
		do(t, ctx, chromedp.Navigate(strings.Replace(server.URL, "127.0.0.1", host, 1)+"/"))
		const read = `fetch("?format=json").then((r) => r.status)`
		status := 0
		do(t, ctx, chromedp.Evaluate(read, &status, awaited))
		if want := map[bool]int{true: 200, false: 421}[served]; status != want {
			t.Errorf("%s: a script of the page got status %d, want %d", host, status, want)
		}
	}
}

//go:embed contrast.js
var contrast string

// looks checks the page in light and dark, wide and narrow.
func looks(t *testing.T, ctx context.Context, page string) {
	defer do(t, ctx, emulation.SetEmulatedMedia(), emulation.ClearDeviceMetricsOverride())
	for _, look := range []struct {
		name, scheme  string
		width, height int64
	}{
		{page, "light", 1280, 860}, {page + "-dark", "dark", 1280, 860},
		{page + "-phone", "light", 390, 1800}, {page + "-phone-dark", "dark", 390, 1800},
		{page + "-narrow", "light", 320, 600},
	} {
		do(t, ctx,
			emulation.SetDeviceMetricsOverride(look.width, look.height, 1, look.width < 500),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: look.scheme},
				{Name: "prefers-reduced-motion", Value: "reduce"},
			}))
		wide := fmt.Sprintf(`[...document.querySelectorAll("main *")].filter((n) => `+
			`!n.closest("thead") && n.getBoundingClientRect().right > %d)`+
			`.map((n) => n.outerHTML.slice(0, 100))`, look.width)
		for _, node := range eval[[]string](t, ctx, wide) {
			t.Errorf("%s: more than %d wide: %s", look.name, look.width, node)
		}
		for _, poor := range eval[[]string](t, ctx, contrast) {
			t.Errorf("%s: hard to read: %s", look.name, poor)
		}
		screenshot(t, ctx, look.name)
	}
}

// screenshot keeps a picture: the one for the README with -update, all of them in the folder that
// SCREENSHOTS names.
func screenshot(t *testing.T, ctx context.Context, name string) {
	dir := os.Getenv("SCREENSHOTS")
	if *update && name == "debug-page" {
		dir = filepath.Join("..", "..", "docs", "img")
	}
	if dir == "" {
		return
	}
	var png []byte
	do(t, ctx, chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestContrastRatio tests the measure itself: black on white is 21, by WCAG 2.2.
func TestContrastRatio(t *testing.T) {
	ctx := browser(t)
	do(t, ctx, chromedp.Navigate("data:text/html,<p style='color:%23888;background:%23fff'>hard</p>"))
	poor := eval[[]string](t, ctx, contrast)
	if len(poor) != 1 || !strings.HasPrefix(poor[0], "3.5") {
		t.Errorf("got %q, want one text with a contrast of %.1f", poor, 3.5)
	}
}
