package shopify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
)

// shipper reports shipments. Shopify splits what is to be shipped of an order into fulfilment
// orders, by the location that it leaves from; a fulfilment is made of units of some of them,
// and only of one location at a time. It has no place for our command's mark, so that a
// parcel is known again by its tracking number, and one without number by what is in it.
type shipper struct{ *client }

// Codes of refusals to ship.
const (
	codeNothingLeft   = "NOTHING_LEFT"
	codePartlyShipped = "PARTLY_SHIPPED"
	codeNotOpen       = "NOT_OPEN"
)

// maxShipLines bounds the lines of one fulfilment: input arrays hold 250.
const maxShipLines = maxPage

// shipment is a fulfilment that there is.
type shipment struct {
	id       string
	tracking []string
	lines    map[string]int64
}

// openLine is a line of a fulfilment order: left can be shipped now, or, when the fulfilment
// order is held back, only later.
type openLine struct {
	order, location string
	id, line        string
	left            int64
	held            string // the status that holds it back
}

// parcel is one fulfilment to make: lines of one location.
type parcel struct {
	orders []string // fulfilment orders, in order
	lines  map[string][]shipLine
	take   map[string]int64 // units by line of the order
	units  int64
}

type shipLine struct {
	ID       string `json:"id"`
	Quantity int64  `json:"quantity"`
}

// PushFulfilment asks what was shipped, and ships what of the command is missing. Goods of
// several locations are several fulfilments with one tracking number: whoever is killed
// between them goes on with the next.
func (p *shipper) PushFulfilment(ctx context.Context, w connectors.FulfilmentWrite) (connectors.Result, error) {
	order := orderGID(w.OrderID)
	w.Tracking = strings.TrimSpace(w.Tracking)
	if order == "" {
		return refused(codeNoOrder, "%q is no order's id", w.OrderID), nil
	}
	wanted, bad := wantedUnits(w.Lines)
	if bad != nil {
		return *bad, nil
	}
	shipped, exists, err := p.shipments(ctx, order)
	if err != nil {
		return failed(asked(err))
	}
	if !exists {
		return refused(codeNoOrder, "the shop has no order %s", w.OrderID), nil
	}
	missing := stillMissing(wanted, shipped, w.Tracking)
	if len(wanted) > 0 && len(missing) == 0 {
		return doneBefore(), nil
	}
	open, err := p.open(ctx, order)
	if err != nil {
		return failed(asked(err))
	}
	if len(wanted) == 0 {
		if r := everything(open, shipped, w.Tracking); r != nil {
			return *r, nil
		}
		missing = map[string]int64{}
		for _, l := range open {
			if l.held == "" {
				missing[l.line] += l.left
			}
		}
	}
	parcels, r := p.pack(missing, open)
	if r != nil {
		return *r, nil
	}
	// seen are the fulfilments that this attempt knows of.
	seen := map[string]bool{}
	for _, s := range shipped {
		seen[s.id] = true
	}
	done := int64(0)
	for _, parcel := range parcels {
		r, err := p.ship(ctx, order, w, parcel, seen)
		if r.Outcome != event.Outcome_OUTCOME_ACCEPTED || err != nil {
			if done > 0 {
				r.Message = calls.Clip(fmt.Sprintf("%d units were shipped, of %d others: %s", done, parcel.units, r.Message))
			}
			return r, err
		}
		done += parcel.units
	}
	return accepted(), nil
}

// wantedUnits adds the lines up by their id; empty means everything that is left.
func wantedUnits(lines []connectors.LineQuantity) (map[string]int64, *connectors.Result) {
	wanted := map[string]int64{}
	for _, l := range lines {
		id := number(l.LineID)
		if !numeric.MatchString(id) || l.Quantity < 1 {
			r := refused(codeNoLine, "%d units of line %q", l.Quantity, l.LineID)
			return nil, &r
		}
		wanted[id] += l.Quantity
	}
	return wanted, nil
}

// stillMissing is what of the wanted units is not shipped yet by this parcel. A parcel with a
// number is all fulfilments with that number together; one without is a fulfilment without
// number of exactly these units.
func stillMissing(wanted map[string]int64, shipped []shipment, tracking string) map[string]int64 {
	missing := map[string]int64{}
	for line, units := range wanted {
		missing[line] = units
	}
	for _, s := range shipped {
		switch {
		case tracking != "" && s.numbered(tracking):
			for line, units := range s.lines {
				if missing[line] -= units; missing[line] <= 0 {
					delete(missing, line)
				}
			}
		case tracking == "" && len(s.tracking) == 0 && sameUnits(wanted, s.lines):
			return nil
		}
	}
	return missing
}

func (s *shipment) numbered(tracking string) bool {
	return slices.ContainsFunc(s.tracking, func(n string) bool {
		return strings.EqualFold(strings.TrimSpace(n), tracking)
	})
}

func sameUnits(a, b map[string]int64) bool {
	if len(a) != len(b) {
		return false
	}
	for line, units := range a {
		if b[line] != units {
			return false
		}
	}
	return true
}

// everything decides a command without lines: what is left is only known before it was done.
// nil means that it is still to be done.
func everything(open []openLine, shipped []shipment, tracking string) *connectors.Result {
	var r connectors.Result
	left, held := int64(0), ""
	for _, l := range open {
		if l.held == "" {
			left += l.left
		} else if l.left > 0 {
			held = l.held
		}
	}
	known := len(shipped) > 0 && tracking == "" ||
		tracking != "" && slices.ContainsFunc(shipped, func(s shipment) bool { return s.numbered(tracking) })
	switch {
	case left == 0 && known:
		r = doneBefore()
	case left == 0 && held != "":
		r = refused(codeNotOpen, "what is left is %s: release it in the shop's admin", held)
	case left == 0:
		r = refused(codeNothingLeft, "nothing is left to ship")
	case known && tracking != "":
		// It was cut in the middle, or something came to the order since: to ship what is left
		// could ship what is not in the parcel.
		r = refused(codePartlyShipped, "parcel %s is shipped and %d units are left: name the lines that are in it", tracking, left)
	default:
		return nil
	}
	return &r
}

// pack chooses from which fulfilment orders the units are taken: the configured location
// first, else in Shopify's order. All of them or none.
func (p *shipper) pack(missing map[string]int64, open []openLine) ([]parcel, *connectors.Result) {
	if p.cfg.LocationID != "" {
		slices.SortStableFunc(open, func(a, b openLine) int {
			return boolean(b.location == p.cfg.LocationID) - boolean(a.location == p.cfg.LocationID)
		})
	}
	rest := map[string]int64{}
	for line, units := range missing {
		rest[line] = units
	}
	var parcels []parcel
	current := map[string]int{} // by location, the parcel that is being filled
	size := map[string]int{}
	for _, l := range open {
		units := min(l.left, rest[l.line])
		if l.held != "" || units <= 0 {
			continue
		}
		at, ok := current[l.location]
		if !ok || size[l.location] == maxShipLines {
			at = len(parcels)
			parcels = append(parcels, parcel{lines: map[string][]shipLine{}, take: map[string]int64{}})
			current[l.location], size[l.location] = at, 0
		}
		size[l.location]++
		b := &parcels[at]
		if b.lines[l.order] == nil {
			b.orders = append(b.orders, l.order)
		}
		b.lines[l.order] = append(b.lines[l.order], shipLine{l.id, units})
		b.take[l.line] += units
		b.units += units
		rest[l.line] -= units
	}
	short := make([]string, 0, len(rest))
	for line, units := range rest {
		if units > 0 {
			short = append(short, line)
		}
	}
	if len(short) == 0 {
		return parcels, nil
	}
	slices.Sort(short)
	line := short[0]
	var r connectors.Result
	at := slices.IndexFunc(open, func(l openLine) bool { return l.line == line && l.held != "" && l.left > 0 })
	if at >= 0 {
		r = refused(codeNotOpen, "%d units of line %s are %s: release them in the shop's admin", rest[line], line, open[at].held)
	} else {
		r = refused(codeNothingLeft, "%d units of line %s are not left to ship: the shop has shipped, cancelled or refunded them, or another service ships them", rest[line], line)
	}
	return nil, &r
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ship makes one fulfilment. When the answer is lost, it is asked whether it is there.
func (p *shipper) ship(ctx context.Context, order string, w connectors.FulfilmentWrite, b parcel, seen map[string]bool) (connectors.Result, error) {
	groups := make([]map[string]any, 0, len(b.orders))
	for _, fo := range b.orders {
		groups = append(groups, map[string]any{"fulfillmentOrderId": fo, "fulfillmentOrderLineItems": b.lines[fo]})
	}
	input := map[string]any{"lineItemsByFulfillmentOrder": groups, "notifyCustomer": w.Notify}
	if info := trackingInfo(w); len(info) > 0 {
		input["trackingInfo"] = info
	}
	id, r, err := p.create(ctx, input)
	if seen[id] = true; r.Outcome != event.Outcome_OUTCOME_UNKNOWN || err != nil {
		return r, err
	}
	now, _, err := p.shipments(ctx, order)
	if err != nil {
		return r, nil // it cannot be read back: it stays unknown
	}
	for _, s := range now {
		if !seen[s.id] && sameUnits(b.take, s.lines) && (s.numbered(w.Tracking) || w.Tracking == "" && len(s.tracking) == 0) {
			seen[s.id] = true
			return accepted(), nil
		}
	}
	return r, nil
}

func (p *shipper) create(ctx context.Context, input map[string]any) (id string, r connectors.Result, err error) {
	a, err := p.send(ctx, &docFulfil, map[string]any{"fulfillment": input}, connectors.Normal)
	if err != nil {
		r, err = failed(err)
		return "", r, err
	}
	var data struct {
		Create *struct {
			Fulfilment *struct {
				ID     string `json:"id"`
				Status string `json:"status"`
			} `json:"fulfillment"`
			Errors []userError `json:"userErrors"`
		} `json:"fulfillmentCreate"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return "", unknown(codeNoAnswer, "the answer to %s cannot be read: %v", docFulfil.name, err), nil
	}
	switch c := data.Create; {
	case c == nil:
		r = unknown(codeNoAnswer, "the answer to %s says nothing", docFulfil.name)
	case len(c.Errors) > 0:
		r = refusedBy(c.Errors)
	case c.Fulfilment == nil || c.Fulfilment.ID == "":
		r = unknown(codeNoAnswer, "Shopify names no fulfilment")
	case !counts(c.Fulfilment.Status):
		r = refused(c.Fulfilment.Status, "Shopify made a fulfilment that is %s", strings.ToLower(c.Fulfilment.Status))
	default:
		id, r = c.Fulfilment.ID, accepted()
	}
	return id, r, nil
}

// counts says whether a fulfilment of that status ships anything.
func counts(status string) bool {
	return status != "CANCELLED" && status != "ERROR" && status != "FAILURE"
}

// trackingInfo is FulfillmentTrackingInput. An address that is none would make Shopify refuse
// the whole fulfilment: it goes without.
func trackingInfo(w connectors.FulfilmentWrite) map[string]any {
	info := map[string]any{}
	if w.Tracking != "" {
		info["number"] = w.Tracking
	}
	if company := company(w.CarrierCode, w.CarrierName); company != "" {
		info["company"] = company
	}
	if u, err := url.Parse(w.TrackingURL); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
		info["url"] = u.String()
	}
	return info
}
