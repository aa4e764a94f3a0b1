package budget

import "testing"

// BenchmarkBudget measures a call's cost: "full" for a success with a full budget, "success" while
// tokens are missing, "take" for a retry, most of which is the clock.
func BenchmarkBudget(b *testing.B) {
	b.Run("full", func(b *testing.B) {
		var full Budget
		for range b.N {
			full.Success()
		}
	})
	b.Run("success", func(b *testing.B) {
		owing := &Budget{Capacity: 60_000, Deposit: 1e-6, Refill: 1e-12}
		for range 60_000 {
			owing.Take()
		}
		for range b.N {
			owing.Success()
		}
	})
	b.Run("take and return", func(b *testing.B) {
		var budget Budget
		for range b.N {
			budget.Take()
			budget.Return()
		}
	})
	b.Run("take and return, parallel", func(b *testing.B) {
		var budget Budget
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				budget.Take()
				budget.Return()
			}
		})
	})
}
