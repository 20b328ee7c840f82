package connectors

import "testing"

// TestModules: none named means all; one that is not named is off, and what belongs to no
// module is always on.
func TestModules(t *testing.T) {
	subjects := []Subject{Orders, Products, Inventory, Stock, RateDays, Payments, Payouts, Shipments}
	for _, s := range subjects {
		if !(Modules)(nil).Takes(s) {
			t.Errorf("without a list %s is not taken", s)
		}
	}
	only := Modules{ModuleOrders}
	for _, s := range subjects {
		if got, want := only.Takes(s), s == Orders || s == Stock || s == RateDays; got != want {
			t.Errorf("only orders: %s is taken: %v, want %v", s, got, want)
		}
	}
	for _, c := range []struct {
		modules Modules
		at      int
		bad     bool
	}{
		{nil, 0, false}, {AllModules(), 0, false}, {Modules{ModuleOrders, "invoices"}, 1, true}, {Modules{ModuleFinance, ModuleOrders, ModuleFinance}, 2, true},
	} {
		if at, err := c.modules.Validate(); (err != nil) != c.bad || at != c.at {
			t.Errorf("%v: %d, %v, want place %d, an error: %v", c.modules, at, err, c.at, c.bad)
		}
	}
}
