package money

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/rebound-go/rebound/cmd/rebound/regular"
	"github.com/rebound-go/rebound/llm"
)

// price has a model's prices per token, in dollars.
type price struct {
	Input     float64 `json:"input_cost_per_token"`
	Output    float64 `json:"output_cost_per_token"`
	CacheRead float64 `json:"cache_read_input_token_cost"`
	MaxOutput float64 `json:"max_output_tokens"`
}

// Prices are by model, in the format of litellm's model_prices_and_context_window.json.
type Prices map[string]price

// maxPrices bounds a file of prices, in bytes. litellm's has about a megabyte.
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
		p := price{Input: -1, Output: -1} // -1 = no price; 0 is a price
		// litellm's file begins with a sample entry, which has texts in the place of numbers.
		if json.Unmarshal(entry, &p) != nil || p.Input < 0 && p.Output < 0 || p.CacheRead < 0 {
			continue
		}
		p.Input, p.Output = max(p.Input, 0), max(p.Output, 0) // an embedding has no price of output
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
		return one, fmt.Errorf("unknown_price: model %q has no price in --prices: want one, to bound "+
			"its cost", r.Model)
	}
	return one, nil
}

// Most returns the most that a request can cost: twice the estimate of its prompt, and the longest
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
		return 0, fmt.Errorf("unknown_price: neither the row nor --prices bounds the tokens of an "+
			"answer of %q: want max_tokens in the row", r.Model)
	}
	return Dollars(2*float64(r.Input)*one.Input + output*one.Output), nil
}

// Cost returns the cost of an answer from its usage. Without a usage, or without prices, it is
// most.
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
