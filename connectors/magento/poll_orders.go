package magento

import (
	"context"
	"slices"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

type orderPoller struct{ *client }

// Poll emits orders that changed, each with its credit memos. An order's updated_at moves
// when a column of the order itself changes; a second partial shipment changes only its
// lines, and a credit memo of nothing changes nothing of it. So shipments and credit memos
// are polled by their own updated_at as well, and bring their order along.
func (p *orderPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	return p.window(ctx, req, []leg{
		{"orders", "/V1/orders", false, p.orders},
		{"shipments", "/V1/shipments", false, p.ordersOf},
		{"credit memos", "/V1/creditmemos", false, p.ordersOf},
	}, emit)
}

// ordersOf brings the orders that shipments or credit memos belong to, each once.
func (c *client) ordersOf(ctx context.Context, nodes []string) ([]connectors.Raw, error) {
	var ids []int64
	for _, node := range nodes {
		if h := readHead(node); h.order > 0 && !slices.Contains(ids, h.order) {
			ids = append(ids, h.order)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	orders, err := c.all(ctx, "/V1/orders", condition{"entity_id", "in", list(ids)}, "", connectors.Normal)
	if err != nil {
		return nil, err
	}
	return c.orders(ctx, orders)
}

// orders makes a record of each order: {"order": …, "creditmemos": […], "shipments": […]},
// every node as it came. The two lists are there for orders of which something was refunded:
// a credit memo does not tell whether its units had left, but the shipments before it do.
// They are asked for in this order, so that no shipment before a credit memo is missed.
func (c *client) orders(ctx context.Context, nodes []string) ([]connectors.Raw, error) {
	heads := make([]head, len(nodes))
	var ids []int64
	for i, node := range nodes {
		if heads[i] = readHead(node); heads[i].id > 0 && hasRefund(node) {
			ids = append(ids, heads[i].id)
		}
	}
	memos, err := c.parts(ctx, "/V1/creditmemos", ids)
	if err != nil {
		return nil, err
	}
	shipments, err := c.parts(ctx, "/V1/shipments", ids)
	if err != nil {
		return nil, err
	}
	raws := make([]connectors.Raw, len(nodes))
	for i, node := range nodes {
		id := heads[i].id
		size := len(node) + 64
		for _, n := range append(memos[id], shipments[id]...) {
			size += len(n) + 1
		}
		b := append(make([]byte, 0, size), `{"order":`...)
		b = append(b, node...)
		if slices.Contains(ids, id) {
			b = append(b, `,"creditmemos":[`...)
			b = append(b, strings.Join(memos[id], ",")...)
			b = append(b, `],"shipments":[`...)
			b = append(b, strings.Join(shipments[id], ",")...)
			b = append(b, ']')
		}
		raws[i] = connectors.Raw{Subject: connectors.Orders, Object: object(id), Body: append(b, '}'), Format: formatOrder, SourceTime: heads[i].updated}
	}
	return raws, nil
}

// parts reads what belongs to orders, by order.
func (c *client) parts(ctx context.Context, path string, orders []int64) (map[int64][]string, error) {
	found := map[int64][]string{}
	if len(orders) == 0 {
		return found, nil
	}
	nodes, err := c.all(ctx, path, condition{"order_id", "in", list(orders)}, "", connectors.Normal)
	for _, node := range nodes {
		id := readHead(node).order
		found[id] = append(found[id], node)
	}
	return found, err
}

// hasRefund says whether anything of an order was refunded.
func hasRefund(node string) (found bool) {
	r := jsonread.NewString(node)
	if !r.Object() {
		return false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "base_total_refunded":
			found = something(r.Number()) || found
		case "items":
			for ok := r.Array(); ok && r.More(); {
				found = itemRefunded(r) || found
			}
		default:
			r.Skip()
		}
	}
	return found
}

func itemRefunded(r *jsonread.Reader) (found bool) {
	if !r.Object() {
		return false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "qty_refunded" {
			found = something(r.Number())
		} else {
			r.Skip()
		}
	}
	return found
}

// something says whether a number is not nothing: "0.0000" is.
func something(number string) bool { return strings.Trim(number, "-0.") != "" }
