package woocommerce

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
)

// shipper tells a shop that goods have left. The core of WooCommerce has no shipments: what it
// has is notes, which the buyer gets by mail when they are the customer's, and the status
// completed. So that is what is written: a note with carrier, number and address of each
// shipment, and completed with the one that leaves nothing behind.
//
// What was shipped so far is kept in the order itself, as meta data; the note carries the mark
// of its command, and so does the entry.
type shipper struct{ *client }

// metaShipments is where an order keeps what was shipped.
const metaShipments = "_crossdock_shipments"

// shipment is one entry there.
type shipment struct {
	Ref      string           `json:"ref"`
	Carrier  string           `json:"carrier,omitempty"`
	Tracking string           `json:"tracking,omitempty"`
	Units    map[string]int64 `json:"units"`
}

// PushFulfilment asks first: an entry means done, a note without an entry means that it was
// cut in the middle and goes on there.
func (p *shipper) PushFulfilment(ctx context.Context, w connectors.FulfilmentWrite) (connectors.Result, error) {
	o, err := p.order(ctx, w.OrderID)
	if err != nil {
		return commandFailed(err)
	}
	switch o.Status {
	case "cancelled", "failed", "refunded", statusTrash:
		return refusedFor("order_"+o.Status, "the order is %s", o.Status)
	}
	done, err := shipmentsOf(o)
	if err != nil {
		return refusedFor("shipments_unreadable", "the order's meta data %s cannot be read: %v", metaShipments, err)
	}
	ref := marker(w.CommandID)
	for _, s := range done {
		if s.Ref == ref {
			return accepted()
		}
	}
	now, whole, err := units(o, done, w.Lines)
	if err != nil {
		return refusedFor("no_such_units", "%v", err)
	}
	carrier := carrierName(w)
	if err := p.note(ctx, w, ref, carrier); err != nil {
		return commandFailed(err)
	}
	text, err := json.Marshal(append(done, shipment{ref, carrier, w.Tracking, now}))
	if err != nil {
		return connectors.Result{}, fmt.Errorf("encoding shipments: %w", err)
	}
	body := map[string]any{"meta_data": []map[string]any{{"key": metaShipments, "value": string(text)}}}
	if whole && o.Status != "completed" {
		body["status"] = "completed"
	}
	if _, err := p.put(ctx, w.OrderID, body); err != nil {
		return commandFailed(err)
	}
	return accepted()
}

func shipmentsOf(o orderState) (done []shipment, err error) {
	for _, m := range o.Meta {
		if m.Key != metaShipments {
			continue
		}
		text, ok := m.Value.(string)
		if !ok {
			return nil, fmt.Errorf("it is no text")
		}
		if err := json.Unmarshal([]byte(text), &done); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// units says what this shipment takes, and whether nothing is left after it. No lines is all
// that is left.
func units(o orderState, done []shipment, lines []connectors.LineQuantity) (now map[string]int64, whole bool, err error) {
	left := map[string]int64{}
	for _, l := range o.Lines {
		n := l.Quantity
		for _, m := range l.Meta {
			if m.Key == "_restock_refunded_items" {
				var back int64
				if _, err := fmt.Sscan(fmt.Sprint(m.Value), &back); err != nil {
					return nil, false, fmt.Errorf("line %s: %q is not a count of units", l.ID, m.Value)
				}
				n -= back
			}
		}
		for _, s := range done {
			n -= s.Units[l.ID.String()]
		}
		left[l.ID.String()] = max(0, n)
	}
	now = map[string]int64{}
	if len(lines) == 0 {
		for id, n := range left {
			if n > 0 {
				now[id] = n
			}
		}
	}
	for _, l := range lines {
		have, ok := left[l.LineID]
		now[l.LineID] += l.Quantity
		if !ok || l.Quantity < 1 || now[l.LineID] > have {
			return nil, false, fmt.Errorf("line %s has %d units left to ship, not %d", l.LineID, have, now[l.LineID])
		}
	}
	whole = true
	for id, n := range left {
		whole = whole && n <= now[id]
	}
	return now, whole, nil
}

// note writes the note, unless there is one with this mark.
func (p *shipper) note(ctx context.Context, w connectors.FulfilmentWrite, ref, carrier string) error {
	// The list of notes comes whole: it has no pages.
	a, err := p.read(ctx, "orders/"+w.OrderID+"/notes", nil, connectors.Urgent)
	if err != nil {
		return unsent(err)
	}
	var notes []struct {
		Note string `json:"note"`
	}
	if err := json.Unmarshal([]byte(a.text), &notes); err != nil {
		return calls.Unsent(fmt.Errorf("reading notes: %w", err))
	}
	for _, n := range notes {
		if strings.Contains(n.Note, ref) {
			return nil
		}
	}
	text := "Shipped"
	if carrier != "" {
		text += " with " + carrier
	}
	if w.Tracking != "" {
		text += ", tracking number " + w.Tracking
	}
	if w.TrackingURL != "" {
		text += ": " + w.TrackingURL
	}
	_, err = p.send(ctx, call{method: http.MethodPost, path: "orders/" + w.OrderID + "/notes", priority: connectors.Urgent, body: map[string]any{
		"note": text + " " + ref, "customer_note": w.Notify,
	}})
	return err
}

// carrierName is what the buyer reads.
func carrierName(w connectors.FulfilmentWrite) string {
	if w.CarrierName != "" {
		return w.CarrierName
	}
	switch strings.ToLower(w.CarrierCode) {
	case "dhl":
		return "DHL"
	case "dhl-express":
		return "DHL Express"
	case "ups":
		return "UPS"
	case "fedex":
		return "FedEx"
	case "dpd":
		return "DPD"
	case "gls":
		return "GLS"
	case "usps":
		return "USPS"
	case "royal-mail":
		return "Royal Mail"
	}
	return w.CarrierCode
}
