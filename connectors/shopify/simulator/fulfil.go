package simulator

import (
	"fmt"
	"slices"
)

// fulfilmentOrder is what one location is to ship of an order. They are made when somebody
// first looks: a shop that nobody ships from through the API needs none.
type fulfilmentOrder struct {
	id, location int64
	order        *order
	held         bool
	lines        []*openLine
}

type openLine struct {
	id   int64
	line *line
	left int64
}

// fulfilmentOrders is the order's, brought up to what of its lines is open: what else ships,
// edits or refunds does so by the lines.
func (s *Simulator) fulfilmentOrders(o *order) []*fulfilmentOrder {
	if len(o.open) == 0 {
		s.openAt(o, s.cfg.LocationID)
	}
	for _, l := range o.lines {
		open := max(0, l.current-l.fulfilled)
		var first *openLine
		for _, fo := range o.open {
			for _, ol := range fo.lines {
				if ol.line != l {
					continue
				}
				if first == nil {
					first = ol
				}
				ol.left = min(ol.left, open)
				open -= ol.left
			}
		}
		if open == 0 {
			continue
		}
		if first == nil {
			first = &openLine{id: s.partID(), line: l}
			o.open[0].lines = append(o.open[0].lines, first)
		}
		first.left += open
	}
	return o.open
}

func (s *Simulator) openAt(o *order, location int64) *fulfilmentOrder {
	fo := &fulfilmentOrder{id: s.partID(), location: location, order: o}
	o.open = append(o.open, fo)
	s.parts[fo.id] = fo
	return fo
}

func (fo *fulfilmentOrder) status() string {
	left := int64(0)
	for _, ol := range fo.lines {
		left += ol.left
	}
	switch {
	case left == 0:
		return "CLOSED"
	case fo.held:
		return "ON_HOLD"
	}
	return "OPEN"
}

// SplitFulfilment lets another location ship units of an order.
func (s *Simulator) SplitFulfilment(orderID, location int64, lines ...FulfilLineSpec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[orderID]
	if o == nil {
		return fmt.Errorf("splitting order %d: it does not exist", orderID)
	}
	from := s.fulfilmentOrders(o)[0]
	to := s.openAt(o, location)
	for _, ls := range lines {
		at := slices.IndexFunc(from.lines, func(ol *openLine) bool { return ol.line.id == ls.Line })
		if at < 0 || from.lines[at].left < ls.Quantity {
			return fmt.Errorf("splitting order %d: line %d has no %d units", orderID, ls.Line, ls.Quantity)
		}
		from.lines[at].left -= ls.Quantity
		to.lines = append(to.lines, &openLine{id: s.partID(), line: from.lines[at].line, left: ls.Quantity})
	}
	return nil
}

// HoldFulfilment holds all that is to be shipped of an order back, or releases it.
func (s *Simulator) HoldFulfilment(orderID int64, hold bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[orderID]
	if o == nil {
		return fmt.Errorf("holding order %d: it does not exist", orderID)
	}
	for _, fo := range s.fulfilmentOrders(o) {
		fo.held = hold
	}
	return nil
}

// createFulfilment carries out fulfillmentCreate: all of it or nothing.
func (x *exec) createFulfilment(f *field) {
	made, failures := x.ship(f)
	x.payload("FulfillmentCreatePayload", f, failures, func(f *field) bool {
		if f.name != "fulfillment" {
			return false
		}
		if made == nil {
			x.null()
			return true
		}
		x.fulfilment(made, f.under)
		return true
	})
}

func (x *exec) ship(f *field) (*fulfilment, []failureOf) {
	s := x.s
	refuse := func(format string, args ...any) (*fulfilment, []failureOf) {
		return nil, []failureOf{{message: fmt.Sprintf(format, args...), field: []string{"fulfillment"}}}
	}
	input, _ := x.arg(f, "fulfillment").(map[string]any)
	groups, _ := input["lineItemsByFulfillmentOrder"].([]any)
	if len(groups) == 0 {
		return refuse("Line items by fulfillment order can't be blank")
	}
	if failures := x.refuses(); failures != nil {
		return nil, failures
	}
	type taken struct {
		from  *openLine
		units int64
	}
	var all []taken
	var of *fulfilmentOrder
	for _, g := range groups {
		g, _ := g.(map[string]any)
		text, _ := g["fulfillmentOrderId"].(string)
		kind, id := split(text)
		fo, ok := s.parts[id].(*fulfilmentOrder)
		if !ok || kind != "FulfillmentOrder" {
			return refuse("Fulfillment order does not exist.")
		}
		if of != nil && (of.order != fo.order || of.location != fo.location) {
			return refuse("All fulfillment orders must be of the same order and location.")
		}
		of = fo
		s.fulfilmentOrders(fo.order)
		if status := fo.status(); status != "OPEN" {
			return refuse("Fulfillment order %d has an unfulfillable status= %s.", fo.id, status)
		}
		lines, _ := g["fulfillmentOrderLineItems"].([]any)
		if len(lines) > 250 {
			x.fail("MAX_INPUT_SIZE_EXCEEDED", "The input array size of %d is greater than the maximum allowed of 250.", len(lines))
			return nil, nil
		}
		if len(lines) == 0 {
			for _, ol := range fo.lines {
				if ol.left > 0 {
					all = append(all, taken{ol, ol.left})
				}
			}
		}
		for _, l := range lines {
			l, _ := l.(map[string]any)
			text, _ := l["id"].(string)
			_, id := split(text)
			at := slices.IndexFunc(fo.lines, func(ol *openLine) bool { return ol.id == id })
			units, _ := whole(l["quantity"])
			if at < 0 || units < 1 || units > fo.lines[at].left {
				return refuse("Invalid fulfillment order line item quantity requested.")
			}
			all = append(all, taken{fo.lines[at], units})
		}
	}
	lines := make([]fulfilledLine, 0, len(all))
	for _, t := range all {
		t.from.left -= t.units
		lines = append(lines, fulfilledLine{t.from.line, t.units})
	}
	info, _ := input["trackingInfo"].(map[string]any)
	var tr tracking
	tr.number, _ = info["number"].(string)
	tr.company, _ = info["company"].(string)
	tr.url, _ = info["url"].(string)
	tr.notified, _ = input["notifyCustomer"].(bool)
	made, mail := s.fulfil(of.order, lines, tr, s.cfg.Now())
	x.mail = s.postOrder(append(x.mail, mail...), of.order, "orders/updated")
	s.stats.Fulfilments++
	return made, nil
}

func (x *exec) fulfilmentOrder(fo *fulfilmentOrder, fields []*field) {
	x.object("FulfillmentOrder", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("FulfillmentOrder", fo.id)
		case "status":
			x.quote(fo.status())
		case "supportedActions":
			actions := map[string][]string{"OPEN": {"CREATE_FULFILLMENT", "HOLD"}, "ON_HOLD": {"RELEASE_HOLD"}}[fo.status()]
			x.list(len(actions), func(i int) {
				x.object("FulfillmentOrderSupportedAction", 0, f.under, func(f *field) bool {
					x.quote(actions[i])
					return f.name == "action"
				})
			})
		case "assignedLocation":
			x.object("FulfillmentOrderAssignedLocation", 0, f.under, func(f *field) bool {
				x.object("Location", 0, f.under, func(f *field) bool {
					x.gid("Location", fo.location)
					return f.name == "id"
				})
				return f.name == "location"
			})
		case "lineItems":
			return x.connection(f, "FulfillmentOrderLineItem", len(fo.lines), func(i int, fields []*field) {
				ol := fo.lines[i]
				x.object("FulfillmentOrderLineItem", 1, fields, func(f *field) bool {
					switch f.name {
					case "id":
						x.gid("FulfillmentOrderLineItem", ol.id)
					case "remainingQuantity":
						x.int(ol.left)
					case "lineItem":
						x.line(fo.order, ol.line, f.under)
					default:
						return false
					}
					return true
				})
			})
		default:
			return false
		}
		return true
	})
}
