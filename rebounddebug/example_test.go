package rebounddebug_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/stats"
)

func ExampleHandler() {
	var recorder stats.Recorder
	var changes rebounddebug.Changes
	ocr := &rebound.Policy{
		Name:    "ocr",
		Backoff: backoff.Constant(0),
		Observe: recorder.Observe,
		Breaker: &breaker.Breaker{Name: "ocr", Failures: 3, OnChange: changes.OnChange},
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/rebound/", rebounddebug.Handler(rebounddebug.Options{
		Title:    "receipts",
		Policies: []*rebound.Policy{ocr},
		Recorder: &recorder,
		Changes:  &changes,
	}))
	server := httptest.NewServer(mux) // a program listens on localhost
	defer server.Close()

	rebound.Run(context.Background(), ocr, func(context.Context) error {
		return errors.New("down")
	})
	resp, err := http.Get(server.URL + "/debug/rebound/?format=json")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var page struct {
		Breakers []struct{ Name, State, Why string }
		Failures []struct{ Policy, Reason string }
	}
	err = json.NewDecoder(resp.Body).Decode(&page)
	fmt.Println(page.Breakers, page.Failures, err)
	// Output: [{ocr open failures in a row}] [{ocr exhausted}] <nil>
}
