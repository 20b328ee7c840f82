package drift

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors/all"
	"github.com/helloword/crossdock/internal/testkit"
)

// official reads a vendor's own contract.
func official(t *testing.T, parts ...string) *Contract {
	t.Helper()
	path := testkit.Shared(t, append([]string{"specs"}, parts...)...)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Read(parts[len(parts)-1], text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Amazon's way from orders v0 to 2026-01-01: orders are read by the new one already, and
// shipments are confirmed by a call that only the old one has.
func TestAmazonOrders(t *testing.T) {
	old, next := official(t, "amazon", "ordersV0.json"), official(t, "amazon", "orders_2026-01-01.json")
	r, err := Compare(old, next, all.Uses()["amazon"])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"breaks confirmShipment: operation removed at old #/paths/~1orders~1v0~1orders~1{orderId}~1shipmentConfirmation/post",
		"harmless searchOrders: operation added at new #/paths/~1orders~12026-01-01~1orders/get",
		"harmless getOrder: operation added at new #/paths/~1orders~12026-01-01~1orders~1{orderId}/get",
	}, lines(r.Findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if !strings.Contains(r.Findings[2].Detail, "was GET /orders/v0/orders/{orderId}") {
		t.Errorf("detail %q", r.Findings[2].Detail)
	}
	if len(r.Others) < 8 { // the other operations of v0 at least
		t.Errorf("%d other changes: %v", len(r.Others), lines(r.Others))
	}
	// The other way round: what we read would be gone.
	back, err := Compare(next, old, all.Uses()["amazon"])
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(lines(back.Findings), "\n")
	for _, w := range []string{
		"breaks searchOrders: operation removed at old #/paths/~1orders~12026-01-01~1orders/get",
		"breaks getOrder: operation moved at new #/paths/~1orders~1v0~1orders~1{orderId}/get",
		"breaks getOrder: parameter removed request includedData",
		"breaks getOrder: field removed response order at old #/definitions/GetOrderResponse/properties/order",
		"harmless confirmShipment: operation added",
	} {
		if !strings.Contains(said, w) {
			t.Errorf("not said: %s\n%s", w, said)
		}
	}
}

// A member that we read, taken out of Amazon's own contract, is found at its type for both
// calls that answer orders.
func TestAmazonFieldRemoved(t *testing.T) {
	path := testkit.Shared(t, "specs", "amazon", "orders_2026-01-01.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.ReplaceAll(text, []byte(`"quantityOrdered"`), []byte(`"orderedQuantity"`))
	old, err := Read("old", text)
	if err != nil {
		t.Fatal(err)
	}
	next, err := Read("new", changed)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compare(old, next, all.Uses()["amazon"])
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, f := range r.Findings {
		if f.Impact != Breaks || f.Change != FieldRemoved || !strings.HasSuffix(f.Field, "orderItems[].quantityOrdered") || !strings.HasSuffix(f.Place, "/properties/quantityOrdered") || !strings.Contains(f.Detail, "orderedQuantity") {
			t.Errorf("%+v", f)
		}
		calls = append(calls, f.Call)
	}
	if diff := cmp.Diff([]string{"searchOrders", "getOrder"}, calls); diff != "" {
		t.Error(diff)
	}
}

// whole skips what reads a vendor's whole contract: one goroutine does, by the code that the other
// tests go through.
func whole(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a whole contract is not read in short mode")
	}
}

// The compare-and-set of quantities, renamed as Shopify once renamed it.
func TestShopifyQuantity(t *testing.T) {
	whole(t)
	path := testkit.Shared(t, "specs", "shopify", "admin-2026-10.graphql.gz")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	schema := official(t, "shopify", "admin-2026-10.graphql.gz")
	renamed, err := Read("renamed.graphql", bytes.ReplaceAll(text, []byte("changeFromQuantity: Int"), []byte("compareQuantity: Int")))
	if err != nil {
		t.Fatal(err)
	}
	uses := all.Uses()["shopify"]
	r, err := Compare(schema, renamed, uses)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"breaks CrossdockSetQuantities: field removed request input.quantities[].changeFromQuantity at old InventoryQuantityInput.changeFromQuantity"}, lines(r.Findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if len(r.Findings) > 0 && !strings.Contains(r.Findings[0].Detail, "new beside it: compareQuantity") {
		t.Errorf("detail %q", r.Findings[0].Detail)
	}
	if len(r.Others) == 0 {
		t.Error("the other inputs with that member are not counted")
	}
	// As it really was: our code knows the new name.
	r, err = Compare(renamed, schema, uses)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"harmless CrossdockSetQuantities: field added request input.quantities[].changeFromQuantity at new InventoryQuantityInput.changeFromQuantity"}, lines(r.Findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	// A code of that time would have been told.
	for i, w := range uses.Words {
		if w == "changeFromQuantity" {
			uses.Words[i] = "compareQuantity"
		}
	}
	r, err = Compare(renamed, schema, uses)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"breaks CrossdockSetQuantities: field removed request input.quantities[].compareQuantity at old InventoryQuantityInput.compareQuantity"}, lines(r.Findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// Every call of every connector is found in the vendor's contract, and a contract does not
// differ from itself.
func TestOfficialContracts(t *testing.T) {
	whole(t)
	for connector, files := range map[string][]string{
		"amazon":  {"orders_2026-01-01.json", "ordersV0.json", "listingsItems_2021-08-01.json", "reports_2021-06-30.json", "fbaInventory.json", "notifications.json", "sellers.json", "feeds_2021-06-30.json", "finances_2024-06-19.json"},
		"ebay":    {"sell_fulfillment_v1_oas3.json", "sell_inventory_v1_oas3.json", "commerce_notification_v1_oas3.json", "developer_analytics_v1_beta_oas3.json", "cancellation_oas3.json"},
		"magento": {"admin-2.4.9.json"},
		"shopify": {"admin-2026-10.graphql.gz"},
	} {
		t.Run(connector, func(t *testing.T) {
			uses := all.Uses()[connector]
			found := map[string]bool{}
			for _, file := range files {
				c := official(t, connector, file)
				r, err := Compare(c, c, uses)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Findings)+len(r.Others) > 0 {
					t.Errorf("%s differs from itself: %v %v", file, lines(r.Findings), lines(r.Others))
				}
				for _, name := range r.Calls {
					found[name] = true
				}
			}
			for _, e := range uses.Endpoints {
				if !found[e.Name] {
					t.Errorf("%s is in none of %v", e.Name, files)
				}
			}
		})
	}
}
