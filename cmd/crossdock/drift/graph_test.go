package drift

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
)

const sdl = `
schema { query: QueryRoot mutation: Mutation }
directive @idempotent(key: String!) on FIELD
type QueryRoot { order(id: ID!): Order  orders(first: Int, sortKey: SortKey): [Order!]!  other: String }
type Mutation { setStock(input: StockInput!): Payload }
type Order { id: ID!  total: String!  status: Status!  note: String }
type Payload { ok: Boolean! }
enum Status { OPEN DONE }
enum SortKey { ID UPDATED }
input StockInput { reason: String!  quantities: [QuantityInput!]! }
input QuantityInput { item: ID!  quantity: Int!  compareQuantity: Int  label: String }
`

func graphUses() connectors.Uses {
	return connectors.Uses{
		Endpoints: []connectors.Endpoint{
			{Name: "Order", Document: `query Order($id: ID!) { order(id: $id) { __typename id total status } }`},
			{Name: "Orders", Document: `query Orders { orders(first: 5, sortKey: UPDATED) { ... on Order { id } } }`},
			{Name: "SetStock", Document: `mutation SetStock($input: StockInput!) { setStock(input: $input) @idempotent(key: "1") { ok } }`},
		},
		Words: strings.Fields("reason quantities item quantity compareQuantity"),
	}
}

func graph(t *testing.T, change ...string) *Contract {
	t.Helper()
	text := sdl
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			t.Fatalf("the schema has no %s", change[i])
		}
		text = strings.ReplaceAll(text, change[i], change[i+1])
	}
	c, err := Read("new.graphql", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGraphQL(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change []string
		want   []string
		others int
	}{
		{"nothing", nil, nil, 0},
		{"operation removed", []string{"setStock(", "changeStock("}, []string{"breaks SetStock: field removed response setStock at old Mutation.setStock"}, 1},
		{"field removed", []string{"total:", "sum:"}, []string{"breaks Order: field removed response total at old Order.total"}, 1},
		{"field that nobody reads removed", []string{"note: String", ""}, nil, 1},
		{"field retyped", []string{"total: String!", "total: Int!"}, []string{"breaks Order: field retyped response total at new Order.total"}, 0},
		{"field nullable", []string{"total: String!", "total: String"}, []string{"look Order: field made nullable response total at new Order.total"}, 0},
		{"field not nullable", []string{"setStock(input: StockInput!): Payload", "setStock(input: StockInput!): Payload!"},
			[]string{"harmless SetStock: field no longer nullable response setStock at new Mutation.setStock"}, 0},
		{"field deprecated", []string{"total: String!", `total: String! @deprecated(reason: "use sum")`}, []string{"look Order: field deprecated response total at new Order.total"}, 0},
		{"argument removed", []string{"first: Int, ", ""}, []string{"breaks Orders: parameter removed request first at old QueryRoot.orders(first:)"}, 0},
		{"argument required", []string{"order(id: ID!)", "order(id: ID!, shop: ID!)"}, []string{"breaks Order: parameter required request shop at new QueryRoot.order(shop:)"}, 0},
		{"argument retyped", []string{"first: Int", "first: String"}, []string{"breaks Orders: parameter retyped request first at new QueryRoot.orders(first:)"}, 0},
		{"enum of an answer widened", []string{"OPEN DONE", "OPEN DONE HELD"}, []string{"look Order: enum widened response status at new Status"}, 0},
		{"enum value that we send gone", []string{"ID UPDATED", "ID CHANGED"}, []string{"breaks Orders: enum narrowed request QueryRoot.orders(sortKey:) at new SortKey"}, 0},
		{"type removed", []string{"type Order {", "type Purchase {", ": Order ", ": Purchase ", "[Order!]", "[Purchase!]"}, []string{
			"breaks Order: field retyped response order at new QueryRoot.order", "breaks Order: type removed at old Order",
			"breaks Orders: field retyped response orders at new QueryRoot.orders", "breaks Orders: type removed at old Order"}, 1},
		{"request field removed", []string{"compareQuantity", "changeFromQuantity"}, []string{"breaks SetStock: field removed request input.quantities[].compareQuantity at old QuantityInput.compareQuantity"}, 1},
		{"request field required", []string{"label: String", "label: String!"}, []string{"breaks SetStock: field required request input.quantities[].label at new QuantityInput.label"}, 0},
		{"request field retyped", []string{"quantity: Int!", "quantity: Float!"}, []string{"breaks SetStock: field retyped request input.quantities[].quantity at new QuantityInput.quantity"}, 0},
		{"directive removed", []string{"directive @idempotent(key: String!) on FIELD", "directive @once(key: String!) on FIELD"}, []string{"breaks SetStock: directive removed request @idempotent at old @idempotent"}, 1},
		{"others alone", []string{"other: String", "another: String"}, nil, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Compare(graph(t), graph(t, tc.change...), graphUses())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(r.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if len(r.Others) != tc.others {
				t.Errorf("%d other changes, want %d: %v", len(r.Others), tc.others, lines(r.Others))
			}
		})
	}
}

// A document that only the new schema takes was written for it.
func TestDocumentIsThereAlready(t *testing.T) {
	r, err := Compare(graph(t, "total:", "sum:"), graph(t), graphUses())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"harmless Order: operation added at new Order"}, lines(r.Findings)); diff != "" {
		t.Error(diff)
	}
}
