package budget

import "testing"

// BenchmarkBudget shows what a call pays: "full" on every success, "success" while tokens are
// owed, "take" for a retry, most of it the clock.
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
