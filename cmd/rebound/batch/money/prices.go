package money

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/rebound-go/rebound/cmd/rebound/regular"
	"github.com/rebound-go/rebound/llm"
)

// price is what a model's tokens cost, in Dollars.
type price struct {
	Input     float64 `json:"input_cost_per_token"`
	Output    float64 `json:"output_cost_per_token"`
	CacheRead float64 `json:"cache_read_input_token_cost"`
	MaxOutput float64 `json:"max_output_tokens"`
}

// Prices are those of litellm's model_prices_and_context_window.json, by model.
type Prices map[string]price

// maxPrices is the length of a file of prices that is none: litellm's has about a megabyte.
const maxPrices = 100 << 20

// ReadPrices reads a file of prices.
func ReadPrices(path string) (Prices, error) {
	data, err := regular.Read(path, maxPrices)
	if err != nil {
		return nil, err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	all := Prices{}
	for model, entry := range raw {
		p := price{Input: -1, Output: -1} // a price of 0 is one, and none is none
		// Entries of another kind, such as the sample, have texts where others have numbers.
		if json.Unmarshal(entry, &p) != nil || p.Input < 0 && p.Output < 0 || p.CacheRead < 0 {
			continue
		}
		p.Input, p.Output = max(p.Input, 0), max(p.Output, 0) // an embedding has no output
		all[model] = p
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no prices: want {\"model\": {\"input_cost_per_token\": …, "+
			"\"output_cost_per_token\": …}}", path)
	}
	return all, nil
}

// Of returns the price of a request's model.
func (p Prices) Of(r llm.Request) (price, error) {
	one, ok := p[r.Model]
	if !ok {
		return one, fmt.Errorf("unknown_price: model %q is not in --prices: its cost has no bound",
			r.Model)
	}
	return one, nil
}

// Most is the most that a request can cost: twice the estimate of its prompt, and the longest
// answer that it allows. Without prices it is 0.
func (p Prices) Most(req *http.Request) (Amount, error) {
	if p == nil {
		return 0, nil
	}
	r := llm.ReadRequest(req)
	one, err := p.Of(r)
	if err != nil {
		return 0, err
	}
	output := float64(r.MaxOutput)
	if output == 0 {
		output = one.MaxOutput
	}
	if output == 0 && one.Output > 0 {
		return 0, fmt.Errorf("unknown_price: neither the row nor --prices has the most tokens of an "+
			"answer of %q: want max_tokens in the row", r.Model)
	}
	return Dollars(2*float64(r.Input)*one.Input + output*one.Output), nil
}

// Cost is what an answer has cost by its usage. An answer that reports none may have cost the most.
func (p Prices) Cost(req *http.Request, most Amount, u llm.Usage) Amount {
	if p == nil || u == (llm.Usage{}) {
		return most
	}
	one := p[llm.ReadRequest(req).Model]
	cached := one.CacheRead
	if cached == 0 {
		cached = one.Input
	}
	return Dollars((u.Input-u.Cached)*one.Input + u.Cached*cached + u.Output*one.Output)
}
