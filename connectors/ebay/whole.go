package ebay

// Whole orders: what getOrders leaves out of some of them is asked for, order by order.

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// maxChanges bounds how often one order is begun again because it changed while being read.
const maxChanges = 4

// whole adds to an order what the list leaves out: the requests to cancel it, and how many
// units were shipped of a line that is shipped in part.
func (p *orderPoller) whole(ctx context.Context, n node) (connectors.Raw, error) {
	if n.id == "" {
		// Nobody can be asked about an order without an id. It goes to the dead letters.
		return raw(n, []byte(`{"order":`+n.text+`}`), "unreadable"), nil
	}
	for attempt := 1; ; attempt++ {
		f := orderFlags(n.text)
		if f.cancelled && !f.reasons {
			a, err := p.read(ctx, request{endpoint: callOrder, ids: []string{n.id}, query: url.Values{"fieldGroups": {"TAX_BREAKDOWN"}}, priority: connectors.Normal})
			switch {
			case errors.Is(err, connectors.ErrPermanent):
				// Then without the reasons: one order does not keep the others.
			case err != nil:
				return connectors.Raw{}, fmt.Errorf("reading it alone: %w", err)
			default:
				if fresh := orderHead(string(a.body)); fresh.id == n.id {
					n = fresh
					f = orderFlags(n.text)
				}
			}
		}
		b := append([]byte(`{"order":`), n.text...)
		if d, ok := p.open[n.id]; ok {
			b = append(append(b, `,"disputes":`...), d.list...)
		}
		if !f.partly {
			return raw(n, append(b, '}'), n.id), nil
		}
		a, err := p.read(ctx, request{endpoint: callShipments, ids: []string{n.id}, priority: connectors.Normal})
		if errors.Is(err, connectors.ErrPermanent) {
			// Then none of the line's units counts as shipped: more is reserved than need be.
			return raw(n, append(b, '}'), n.id), nil
		}
		if err != nil {
			return connectors.Raw{}, fmt.Errorf("reading its shipments: %w", err)
		}
		list, count := shipmentsOf(a.body)
		if list == "" {
			return connectors.Raw{}, calls.Passing(errors.New("reading its shipments: the answer cannot be read"))
		}
		// Numbers that do not match at the last try never will: what is known is told.
		if count == f.shipments || attempt == maxChanges {
			b = append(b, `,"fulfillments":`...)
			return raw(n, append(append(b, list...), '}'), n.id), nil
		}
		// It was shipped further in between.
		again, err := p.read(ctx, request{endpoint: callOrder, ids: []string{n.id}, query: url.Values{"fieldGroups": {"TAX_BREAKDOWN"}}, priority: connectors.Normal})
		if err != nil {
			return connectors.Raw{}, fmt.Errorf("reading it again: %w", err)
		}
		if fresh := orderHead(string(again.body)); fresh.id == n.id {
			n = fresh
		}
	}
}

func raw(n node, body []byte, object string) connectors.Raw {
	return connectors.Raw{Subject: connectors.Orders, Object: object, Body: body, Format: formatOrder, SourceTime: n.updated}
}

// flags is what of an order decides whether more has to be asked.
type flags struct {
	cancelled, reasons, partly bool
	shipments                  int
}

func orderFlags(text string) (f flags) {
	r := jsonread.NewString(text)
	if !r.Object() {
		return f
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "cancelStatus":
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				switch key {
				case "cancelState":
					state := r.Text()
					f.cancelled = state != "" && state != "NONE_REQUESTED"
				case "cancelRequests":
					for ok := r.Array(); ok && r.More(); r.Skip() {
						f.reasons = true
					}
				default:
					r.Skip()
				}
			}
		case "fulfillmentHrefs":
			for ok := r.Array(); ok && r.More(); r.Skip() {
				f.shipments++
			}
		case "lineItems":
			for ok := r.Array(); ok && r.More(); {
				if !r.Object() {
					continue
				}
				for key, ok := r.Next(); ok; key, ok = r.Next() {
					if key == "lineItemFulfillmentStatus" {
						f.partly = r.Text() == "IN_PROGRESS" || f.partly
					} else {
						r.Skip()
					}
				}
			}
		default:
			r.Skip()
		}
	}
	// A shipment without a tracking number may have no address of its own.
	f.partly = f.partly && f.shipments > 0
	return f
}

// shipmentsOf is the list in an answer of getShippingFulfillments, as it stands there.
func shipmentsOf(body []byte) (list string, count int) {
	r := jsonread.New(body)
	if !r.Object() {
		return "", 0
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "fulfillments" {
			list = r.Raw()
		} else {
			r.Skip()
		}
	}
	r.End()
	if r.Err() != nil {
		return "", 0
	}
	each := jsonread.NewString(list)
	for ok := each.Array(); ok && each.More(); each.Skip() {
		count++
	}
	return list, count
}
