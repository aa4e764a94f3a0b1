package debugpage

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// longestWait is the longest time that a test waits for anything.
const longestWait = 2 * time.Minute

// browser starts Chromium, and stops it when the test is over. Its context is that of a tab.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium to test with: ", err)
	}
	profile, err := os.MkdirTemp("", "debugpage")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		// A name of another site that points to this machine.
		chromedp.Flag("host-resolver-rules", "MAP rebound.evil.example 127.0.0.1"),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(longestWait),
	}
	// Not t.Context(), which ends before the clean-up that stops the browser.
	ctx, cancel := context.WithTimeout(context.Background(), longestWait)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	do(t, ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // which waits until the browser has stopped
	return ctx
}

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// eval returns the value of an expression in the page.
func eval[T any](t *testing.T, ctx context.Context, expression string) (v T) {
	t.Helper()
	do(t, ctx, chromedp.Evaluate(expression, &v))
	return v
}

// until waits for an expression to become true in the page.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	err := chromedp.Run(ctx, chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(longestWait)))
	if err != nil {
		t.Fatalf("%s did not come true: %v", expression, err)
	}
}

// traffic is what a tab has requested, and its errors.
type traffic struct {
	mu         sync.Mutex
	requests   []string
	statuses   map[string]int64 // of the last response, by method and address
	complaints []string
}

// watch records a tab's traffic.
func watch(t *testing.T, ctx context.Context) *traffic {
	t.Helper()
	w := &traffic{statuses: map[string]int64{}}
	methods := map[network.RequestID]string{}
	chromedp.ListenTarget(ctx, func(event any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			w.requests = append(w.requests, e.Request.URL)
			methods[e.RequestID] = e.Request.Method
		case *network.EventResponseReceived:
			w.statuses[methods[e.RequestID]+" "+e.Response.URL] = e.Response.Status
		case *runtime.EventExceptionThrown:
			w.complaints = append(w.complaints, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			w.complaints = append(w.complaints, fmt.Sprint("console.", e.Type))
		case *log.EventEntryAdded:
			w.complaints = append(w.complaints, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
		}
	})
	do(t, ctx, network.Enable(), log.Enable())
	return w
}

// check fails the test if the tab had errors, or sent a request to another host.
func (w *traffic) check(t *testing.T, origin string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.complaints {
		t.Errorf("the browser complained: %s", c)
	}
	asked := func(file string) bool {
		return slices.ContainsFunc(w.requests, func(r string) bool {
			return strings.HasSuffix(r, file)
		})
	}
	for _, r := range w.requests {
		if !strings.HasPrefix(r, origin+"/") {
			t.Errorf("a request left for %s, want only %s", r, origin)
		}
	}
	if !asked("/page.js") || !asked("/events") {
		t.Errorf("the requests seen are %q, want page.js and events among them", w.requests)
	}
}

func (w *traffic) status(request string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.statuses[request]
}

// receipts starts examples/receipts with the arguments given, and returns the address of its page,
// token included, and without anything behind the host.
func receipts(t *testing.T, args ...string) (page, origin string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "receipts")
	build := exec.Command("go", "build", "-o", program, "./examples/receipts")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	run := exec.Command(program, append(args, "-debug", "localhost:0")...)
	stdout, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(os.Interrupt)
		_ = run.Wait()
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if _, found, ok := strings.Cut(lines.Text(), "live page: "); ok {
			u, err := url.Parse(found)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for lines.Scan() { // so that it never blocks on a full pipe
				}
			}()
			return found, u.Scheme + "://" + u.Host
		}
	}
	t.Fatal("receipts printed no address of its page")
	return "", ""
}

// awaited makes Evaluate wait for a promise.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
