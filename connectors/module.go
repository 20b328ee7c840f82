package connectors

import (
	"fmt"
	"slices"
)

// Module is a part of what flows over a connection, and can be switched on by itself.
type Module string

// Modules of a connection. Each is both ways: what is read of it, and what is written.
const (
	// ModuleOrders: orders and their refunds are taken in.
	ModuleOrders Module = "orders"
	// ModuleProducts: products and listings are taken in.
	ModuleProducts Module = "products"
	// ModuleInventory: shown quantities are taken in and written.
	ModuleInventory Module = "inventory"
	// ModuleFulfilment: shipments are reported, orders cancelled.
	ModuleFulfilment Module = "fulfilment"
	// ModuleFinance: prices are written, refunds made, payments and payouts taken in.
	ModuleFinance Module = "finance"
)

// AllModules is every module there is.
func AllModules() []Module {
	return []Module{ModuleOrders, ModuleProducts, ModuleInventory, ModuleFulfilment, ModuleFinance}
}

// Modules are those that a connection was given; none means all.
type Modules []Module

// Has reports whether a module is on.
func (m Modules) Has(module Module) bool { return len(m) == 0 || slices.Contains(m, module) }

// Any reports whether at least one of several modules is on.
func (m Modules) Any(of ...Module) bool { return slices.ContainsFunc(of, m.Has) }

// Takes reports whether records of a subject are taken in. What belongs to no module, such as
// a warehouse's receipts or a day of rates, always is: it is what its connection is for.
func (m Modules) Takes(s Subject) bool {
	switch s {
	case Orders:
		return m.Has(ModuleOrders)
	case Products:
		return m.Has(ModuleProducts)
	case Inventory:
		return m.Has(ModuleInventory)
	case Shipments:
		return m.Has(ModuleFulfilment)
	case Payments, Payouts:
		return m.Has(ModuleFinance)
	}
	return true
}

// Validate reports the first that is none, or is there twice, and its place in the list.
func (m Modules) Validate() (at int, err error) {
	for i, module := range m {
		switch {
		case !slices.Contains(AllModules(), module):
			return i, fmt.Errorf("%q is no module: use orders, products, inventory, fulfilment or finance; without the key all are on", module)
		case slices.Contains(m[:i], module):
			return i, fmt.Errorf("%q is there twice", module)
		}
	}
	return 0, nil
}
