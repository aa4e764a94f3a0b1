//go:build linux

package main

import (
	"net/http"
	"testing"
)

// pool_max_conns=1 in the URL is raised to the two connections that load needs. It waited for ever.
func TestFleetOneConnection(t *testing.T) {
	t.Parallel()
	x := newFleetOf(t, 3, func(w http.ResponseWriter, r *http.Request) { answer(w, 1, 1) })
	server, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	x.db = newDatabase(t, server) + "&pool_max_conns=1"
	x.must(0, "load", x.path("in.jsonl"))
	x.must(0, "work", "--base", x.args[5])
	if s := x.status(); s.Done != 3 {
		t.Errorf("the status is %+v", s)
	}
}
