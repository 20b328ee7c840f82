package shopify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/helloword/crossdock/connectors"
)

// What of an order was shipped, and what can be: read whole before anything is written.

// connection is the part of a GraphQL connection that comes as one page.
type connection[T any] struct {
	Nodes []T `json:"nodes"`
	Page  struct {
		Next   bool   `json:"hasNextPage"`
		Cursor string `json:"endCursor"`
	} `json:"pageInfo"`
}

type lineUnits struct {
	Quantity int64 `json:"quantity"`
	Line     struct {
		ID string `json:"id"`
	} `json:"lineItem"`
}

// shipments is every fulfilment of the order that counts; exists is false when the shop has
// no such order.
func (p *shipper) shipments(ctx context.Context, order string) (all []shipment, exists bool, err error) {
	a, err := p.read(ctx, &docShipments, map[string]any{"id": order, "nested": openLines}, connectors.Normal)
	if err != nil {
		return nil, false, fmt.Errorf("asking what was shipped: %w", err)
	}
	var data struct {
		Order *struct {
			Fulfilments []struct {
				ID       string `json:"id"`
				Status   string `json:"status"`
				Tracking []struct {
					Number string `json:"number"`
				} `json:"trackingInfo"`
				Lines connection[lineUnits] `json:"fulfillmentLineItems"`
			} `json:"fulfillments"`
		} `json:"order"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return nil, false, fmt.Errorf("asking what was shipped: %w", err)
	}
	if data.Order == nil {
		return nil, false, nil
	}
	for _, f := range data.Order.Fulfilments {
		if !counts(f.Status) {
			continue
		}
		s := shipment{id: f.ID, lines: map[string]int64{}}
		for _, t := range f.Tracking {
			if t.Number != "" {
				s.tracking = append(s.tracking, t.Number)
			}
		}
		rest, err := moreOf(ctx, p.client, &docFulfilmentLines, f.ID, "fulfillmentLineItems", f.Lines)
		if err != nil {
			return nil, false, fmt.Errorf("asking what was shipped: %w", err)
		}
		for _, l := range rest {
			s.lines[number(l.Line.ID)] += l.Quantity
		}
		all = append(all, s)
	}
	return all, true, nil
}

type fulfilmentOrderLine struct {
	ID   string `json:"id"`
	Left int64  `json:"remainingQuantity"`
	Line struct {
		ID string `json:"id"`
	} `json:"lineItem"`
}

type fulfilmentOrder struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Actions []struct {
		Action string `json:"action"`
	} `json:"supportedActions"`
	Assigned struct {
		Location *struct {
			ID string `json:"id"`
		} `json:"location"`
	} `json:"assignedLocation"`
	Lines connection[fulfilmentOrderLine] `json:"lineItems"`
}

// held is the status that keeps a fulfilment order from being shipped; "" when nothing does.
func (o *fulfilmentOrder) held() string {
	for _, a := range o.Actions {
		if a.Action == "CREATE_FULFILLMENT" {
			return ""
		}
	}
	return o.Status
}

// How many fulfilment orders, and lines of each, are asked for at once. They are charged for in
// advance, whether they are there or not; an order has few of them, and the rest is paged.
const (
	openPage  = 5
	openLines = 20
)

// open is every line of a fulfilment order with units left.
func (p *shipper) open(ctx context.Context, order string) (open []openLine, err error) {
	var after any
	for more := true; more; {
		a, err := p.read(ctx, &docFulfilmentOrders, map[string]any{"id": order, "first": openPage, "after": after, "nested": openLines}, connectors.Normal)
		if err != nil {
			return nil, fmt.Errorf("asking what can be shipped: %w", err)
		}
		var data struct {
			Order *struct {
				Orders connection[fulfilmentOrder] `json:"fulfillmentOrders"`
			} `json:"order"`
		}
		if err := json.Unmarshal([]byte(a.data), &data); err != nil {
			return nil, fmt.Errorf("asking what can be shipped: %w", err)
		}
		if data.Order == nil {
			return nil, nil
		}
		for _, fo := range data.Order.Orders.Nodes {
			// What is over has nothing left, whatever it says.
			if slices.Contains([]string{"CLOSED", "CANCELLED", "INCOMPLETE"}, fo.Status) {
				continue
			}
			lines, err := moreOf(ctx, p.client, &docFulfilmentOrderLines, fo.ID, "lineItems", fo.Lines)
			if err != nil {
				return nil, fmt.Errorf("asking what can be shipped: %w", err)
			}
			location := ""
			if fo.Assigned.Location != nil {
				location = number(fo.Assigned.Location.ID)
			}
			for _, l := range lines {
				if l.Left > 0 {
					open = append(open, openLine{order: fo.ID, location: location, id: l.ID, line: number(l.Line.ID), left: l.Left, held: fo.held()})
				}
			}
		}
		if more, after = data.Order.Orders.Page.Next, data.Order.Orders.Page.Cursor; more && after == "" {
			return nil, fmt.Errorf("asking what can be shipped: the answer promises another page and gives no cursor")
		}
	}
	return open, nil
}

// moreOf reads the pages of a connection that did not come along with its owner.
func moreOf[T any](ctx context.Context, c *client, d *document, owner, name string, page connection[T]) ([]T, error) {
	all := page.Nodes
	for page.Page.Next {
		if page.Page.Cursor == "" {
			return nil, fmt.Errorf("the answer promises more %s and gives no cursor", name)
		}
		a, err := c.read(ctx, d, map[string]any{"id": owner, "first": partPage, "after": page.Page.Cursor}, connectors.Normal)
		if err != nil {
			return nil, fmt.Errorf("reading more %s: %w", name, err)
		}
		var more connection[T]
		if err := json.Unmarshal([]byte(member(member(a.data, "node"), name)), &more); err != nil {
			return nil, fmt.Errorf("reading more %s: %w", name, err)
		}
		all, page = append(all, more.Nodes...), more
	}
	return all, nil
}
