package main

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the receipts in testdata anew")

// goods are what each sort of shop sells, with the price in cents.
var goods = map[string][]good{
	"bakery":     {{"Sourdough loaf", 420}, {"Butter croissant", 240}, {"Rye rolls", 95}},
	"groceries":  {{"Whole milk", 119}, {"Apples 1 kg", 279}, {"Olive oil", 899}, {"Rice", 189}},
	"restaurant": {{"Soup of the day", 650}, {"Fish pie", 1490}, {"Lemonade", 380}},
	"hardware":   {{"Wood screws", 499}, {"Masking tape", 325}, {"Claw hammer", 1795}},
	"books":      {{"Paperback", 1099}, {"Atlas", 3450}, {"Bookmark", 175}},
	"fuel":       {{"Unleaded 95", 5235}, {"Screen wash", 650}, {"Coffee to go", 290}},
}

type good struct {
	name  string
	price cents
}

// torn receipts are unreadable, even for the best service.
var torn = []string{"r0088", "r0274"}

// month is one file: 25 receipts with their right values.
func month(m int) string {
	const perMonth = inTestdata / 12
	dice := rand.New(rand.NewPCG(2026, uint64(m)))
	var b strings.Builder
	for i := range perMonth {
		id := fmt.Sprintf("r%04d", (m-1)*perMonth+i+1)
		shops := slices.Sorted(maps.Keys(categories))
		shop := shops[dice.IntN(len(shops))]
		date := fmt.Sprintf("2026-%02d-%02d", m, i+1)
		items, total := basket(dice, goods[categories[shop]])
		paper := fmt.Sprintf("%s\n%s %02d:%02d\n%s", shop, date, 8+dice.IntN(12),
			dice.IntN(60), items)
		if slices.Contains(torn, id) {
			fmt.Fprintf(&b, "== %s unreadable\n%sTOT\n\n", id, paper)
			continue
		}
		fmt.Fprintf(&b, "== %s %s %s %v\n%s%-24s %8v\n\n", id, categories[shop], date, total,
			paper, "TOTAL", total)
	}
	return b.String()
}

func basket(dice *rand.Rand, of []good) (lines string, total cents) {
	for range 1 + dice.IntN(4) {
		n, g := 1+dice.IntN(3), of[dice.IntN(len(of))]
		amount := cents(n) * g.price
		total += amount
		lines += fmt.Sprintf("%d * %-20s %8v\n", n, g.name, amount)
	}
	return lines, total
}

// The receipts in testdata are the generator's, without changes by hand.
func TestTestdataIsGenerated(t *testing.T) {
	for m := 1; m <= 12; m++ {
		name := filepath.Join("testdata", fmt.Sprintf("2026-%02d.txt", m))
		if *update {
			if err := os.WriteFile(name, []byte(month(m)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != month(m) {
			t.Errorf("%s differs from the generator's: run the test with -update", name)
		}
	}
}
