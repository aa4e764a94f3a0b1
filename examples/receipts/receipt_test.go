package main

import (
	"errors"
	"strings"
	"testing"
)

// Every receipt is read as its label says: whole by the OCR service, with the right numbers but
// gaps in its names by the local reader, and not at all if it is torn.
func TestReaders(t *testing.T) {
	receipts, truth, err := load(inTestdata)
	if err != nil {
		t.Fatal(err)
	}
	if len(receipts) != inTestdata || len(truth) != inTestdata {
		t.Fatalf("%d receipts with %d labels, want %d", len(receipts), len(truth), inTestdata)
	}
	gaps := 0
	for _, r := range receipts {
		k := truth[r.id]
		full, err := parse(cleaned(r.image))
		local, localErr := readLocally(r.image)
		if k.unreadable {
			if !errors.Is(err, errUnreadable) || !errors.Is(localErr, errUnreadable) {
				t.Errorf("%s is torn, but reading it gives %v and %v", r.id, err, localErr)
			}
			continue
		}
		full.Category = categories[full.Shop]
		if err != nil || full.check() != nil ||
			!k.agrees(result{outcome: extracted, extraction: full}) {
			t.Errorf("%s: read %+v (%v, %v), want %+v", r.id, full, err, full.check(), k)
		}
		if localErr != nil || !k.agrees(result{outcome: byFallback, extraction: local}) {
			t.Errorf("%s: read locally %+v (%v), want %+v", r.id, local, localErr, k)
		}
		if len(local.Items) != len(full.Items) || strings.Contains(full.Shop, "?") {
			t.Errorf("%s: read %+v, and locally %+v", r.id, full, local)
		}
		gaps += strings.Count(local.Shop, "?")
	}
	if gaps == 0 {
		t.Error("the local reader is as good as the service, so the example shows nothing")
	}
}

func TestLoadSome(t *testing.T) {
	receipts, truth, err := load(30)
	if err != nil || len(receipts) != 30 || len(truth) != 30 || receipts[29].id != "r0030" {
		t.Errorf("%d receipts, %d labels, %v; want 30 up to r0030", len(receipts), len(truth), err)
	}
}

func TestCheckRefuses(t *testing.T) {
	right := extraction{Date: "2026-02-03", Items: []item{{1, "Atlas", 3450}}, Total: 3450}
	if err := right.check(); err != nil {
		t.Errorf("a good one is rejected: %v", err)
	}
	misread, undated := right, right
	misread.Total, undated.Date = 3451, ""
	for _, e := range []extraction{misread, undated, {Date: right.Date}} {
		if e.check() == nil {
			t.Errorf("%+v passed", e)
		}
	}
}
