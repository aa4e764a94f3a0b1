package money

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/llm"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]float64{"50usd": 50, "50 USD": 50, " $0.25 ": 0.25, "1": 1,
		"$5usd": 5, "1e-3": 0.001, "1e9": 1e9} {
		if got, err := Parse(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "usd", "$", "0", "0usd", "-1", "50eur", "5,0", "inf", "nan",
		"1e10", "$$1", "1 2"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestAmount(t *testing.T) {
	if a := Dollars(0.1) + Dollars(0.2); a != Dollars(0.3) || a.USD() != 0.3 || a.String() != "$0.30" {
		t.Errorf("got %d, %v, %v", a, a.USD(), a)
	}
}

const priceFile = `{
	"sample_spec": {"input_cost_per_token": 0.0, "max_output_tokens": "the most, if known"},
	"m": {"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6, "max_output_tokens": 1000},
	"cached": {"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6,
		"cache_read_input_token_cost": 1e-7},
	"embed": {"input_cost_per_token": 2e-6},
	"free": {"input_cost_per_token": 0, "output_cost_per_token": 0},
	"image": {"output_cost_per_image": 0.04},
	"wrong": {"input_cost_per_token": -1, "output_cost_per_token": -1}
}`

func prices(t testing.TB, text string) (Prices, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prices.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadPrices(path)
}

func request(t testing.TB, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("POST", "https://api.openai.com/v1/chat/completions",
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPrices(t *testing.T) {
	p, err := prices(t, priceFile)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("word ", 800) // 1000 tokens at four bytes
	body := func(model, more string) string {
		return `{"model":"` + model + `","messages":[{"content":"` + text + `"}]` + more + `}`
	}
	most := func(body string, input, output float64) Amount {
		return Dollars(2*float64(llm.ReadRequest(request(t, body)).Input)*input + output)
	}
	few, less := body("m", `,"max_tokens":10`), body("cached", `,"max_tokens":10`)
	for _, test := range []struct {
		name, body string
		most       Amount // -1 is an error
		usage      llm.Usage
		cost       Amount // of that usage; -1 = the maximum
	}{
		{"the price file's bound", body("m", ""), most(body("m", ""), 1e-6, 4e-3),
			llm.Usage{Input: 900, Output: 100}, Dollars(900e-6 + 400e-6)},
		{"the row's bound", few, most(few, 1e-6, 4e-5), llm.Usage{}, -1},
		{"cached at the full price", body("m", ""), most(body("m", ""), 1e-6, 4e-3),
			llm.Usage{Input: 900, Cached: 900}, Dollars(900e-6)},
		{"cached", less, most(less, 1e-6, 4e-5),
			llm.Usage{Input: 900, Cached: 800}, Dollars(100e-6 + 80e-6)},
		{"no output", body("embed", ""), most(body("embed", ""), 2e-6, 0), llm.Usage{Input: 5},
			Dollars(1e-5)},
		{"free", body("free", ""), 0, llm.Usage{Input: 5, Output: 5}, 0},
		{"no bound", body("cached", ""), -1, llm.Usage{}, 0},
		{"unknown", body("other", ""), -1, llm.Usage{}, 0},
		{"the sample", body("sample_spec", ""), -1, llm.Usage{}, 0},
		{"by the image", body("image", ""), -1, llm.Usage{}, 0},
		{"below 0", body("wrong", ""), -1, llm.Usage{}, 0},
		{"no model", `{}`, -1, llm.Usage{}, 0},
	} {
		most, err := p.Most(request(t, test.body))
		if test.most < 0 {
			if err == nil || !strings.HasPrefix(err.Error(), "unknown_price: ") {
				t.Errorf("%s: got %v, %v, want an unknown price", test.name, most, err)
			}
			continue
		}
		if most != test.most || err != nil {
			t.Errorf("%s: the most is %d, %v, want %d", test.name, most, err, test.most)
		}
		want := test.cost
		if want < 0 {
			want = most
		}
		if got := p.Cost(request(t, test.body), most, test.usage); got != want {
			t.Errorf("%s: the cost is %d, want %d", test.name, got, want)
		}
	}
	if most, err := Prices(nil).Most(request(t, "{}")); most != 0 || err != nil {
		t.Errorf("without prices: got %v, %v", most, err)
	}
}

func TestWrongPrices(t *testing.T) {
	for text, want := range map[string]string{
		"[]": "cannot unmarshal", "": "unexpected end", "{}": "has no prices",
		`{"sample_spec": {"input_cost_per_token": "x"}}`: "has no prices", `{"m": 1}`: "has no prices",
	} {
		if _, err := prices(t, text); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "prices.json") {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, err := ReadPrices(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("got %v for no file", err)
	}
}

// Concurrent calls never reserve or spend more than the limit. No call waits without need, and no
// call is rejected that could still be paid.
func TestPurseIsKept(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			const limit = 1000
			p := &Purse{Limit: limit, Spent: Amount(seed * 10)}
			var mu sync.Mutex
			reserved, spent := Amount(0), p.Spent
			var all sync.WaitGroup
			for w := range uint64(16) {
				rng := rand.New(rand.NewPCG(seed, w))
				all.Go(func() {
					for range 20 {
						most := Amount(rng.IntN(120))
						err := p.Reserve(t.Context(), most)
						mu.Lock()
						if errors.Is(err, ErrSpent) {
							if p.Total()+most <= limit {
								t.Errorf("%d of %d are spent, and %d were rejected", p.Total(), limit, most)
							}
							mu.Unlock()
							continue
						}
						if reserved += most; reserved+spent > limit {
							t.Errorf("%d are reserved and %d spent", reserved, spent)
						}
						mu.Unlock()
						time.Sleep(time.Duration(rng.IntN(1000)))
						cost := most * Amount(rng.IntN(3)) / 2
						mu.Lock()
						p.Settle(most, cost)
						reserved, spent = reserved-most, spent+cost
						mu.Unlock()
					}
				})
			}
			all.Wait()
			if p.Total() != spent || p.reserved != 0 {
				t.Errorf("got %d spent, %d reserved, want %d and 0", p.Total(), p.reserved, spent)
			}
		})
	}
}

func TestPurseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Purse{Limit: 10}
		if err := p.Reserve(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Reserve(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if err := p.Reserve(t.Context(), 11); !errors.Is(err, ErrSpent) {
			t.Errorf("got %v for more than the limit", err)
		}
		none := &Purse{}
		if err := none.Reserve(t.Context(), 1e18); err != nil {
			t.Errorf("got %v without a limit", err)
		}
	})
}
