package channels

import (
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// TestCheckAsksForWhatTheModulesNeed: a connection that takes orders alone is asked for no
// right on stock, one that writes stock alone for none on orders; one without a list for both.
func TestCheckAsksForWhatTheModulesNeed(t *testing.T) {
	// words that a check's subjects or calls hold when it is about one or the other.
	words := map[string]struct{ orders, stock []string }{
		"shopify":     {[]string{"scope read_orders", "scope read_customers"}, []string{"scope write_inventory", "location"}},
		"woocommerce": {[]string{"/v3/orders", "decimals of prices"}, []string{"stock management", "list of all variations"}},
		"magento":     {[]string{"/V1/creditmemos", "Magento_Sales::shipment"}, []string{"/V1/inventory/", "Magento_InventoryApi::source"}},
		"amazon":      {[]string{"/orders/2026-01-01", "reading orders"}, []string{"/listings/", "reading and writing listings"}},
		"ebay":        {[]string{"/sell/fulfillment/", "scope sell.payment.dispute"}, []string{"/sell/inventory/", "scope sell.inventory"}},
	}
	for _, platform := range platforms {
		for _, c := range []struct {
			name          string
			modules       connectors.Modules
			orders, stock bool
		}{
			{"all", nil, true, true},
			{"orders alone", connectors.Modules{connectors.ModuleOrders}, true, false},
			{"inventory alone", connectors.Modules{connectors.ModuleInventory}, false, true},
		} {
			t.Run(platform+", "+c.name, func(t *testing.T) {
				s := opened(t, platform, "EUR", &clock{t: begin}, c.modules...)
				results, err := s.conn.Check.Check(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				said := strings.Join(s.asked, "\n")
				for _, r := range results {
					said += "\n" + r.Subject
				}
				for _, about := range []struct {
					words []string
					want  bool
				}{{words[platform].orders, c.orders}, {words[platform].stock, c.stock}} {
					for _, w := range about.words {
						if got := strings.Contains(said, w); got != about.want {
							t.Errorf("it asks for %q: %v, want %v:\n%s", w, got, about.want, said)
						}
					}
				}
			})
		}
	}
}
