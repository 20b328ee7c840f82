package magento

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
)

// Codes of refusals that are ours.
const (
	codeNoOrder     = "UNKNOWN_ORDER"
	codeNoLine      = "UNKNOWN_LINE"
	codeNothingLeft = "NOTHING_LEFT"
	codeBundle      = "BUNDLE_SHIPS_WHOLE"
	codeNotPossible = "NOT_POSSIBLE"
)

// shipper reports shipments.
type shipper struct{ *client }

// shipmentItem and shipmentTrack are parts of POST order/{id}/ship.
type shipmentItem struct {
	Item     int64 `json:"order_item_id"`
	Quantity int64 `json:"qty"`
}

type shipmentTrack struct {
	Number  string `json:"track_number"`
	Title   string `json:"title"`
	Carrier string `json:"carrier_code"`
}

type shipmentComment struct {
	Comment string `json:"comment"`
	Visible int    `json:"is_visible_on_front"`
}

type shipmentInput struct {
	Items  []shipmentItem  `json:"items"`
	Notify bool            `json:"notify"`
	Append bool            `json:"appendComment"` // to the mail
	Say    shipmentComment `json:"comment"`
	Tracks []shipmentTrack `json:"tracks,omitempty"`
}

// marker names a command in a comment that only the admin sees: a comment is kept with the
// shipment in any case, and goes into the buyer's mail with appendComment only.
func marker(commandID string) string { return "crossdock " + commandID }

// PushFulfilment makes a shipment. Magento makes another one when it is told twice, of
// whatever is left, and does not refuse more than that (seen on 2.4.7): so the order's
// shipments are read first, and a shipment with the same number and lines, or with
// this command's mark, is taken as done.
func (p *shipper) PushFulfilment(ctx context.Context, w connectors.FulfilmentWrite) (connectors.Result, error) {
	items, refused, err := p.orderItems(ctx, w.OrderID)
	if refused != nil || err != nil {
		return outcome(refused, unsent(err))
	}
	order, _ := strconv.ParseInt(w.OrderID, 10, 64)
	nodes, err := p.all(ctx, "/V1/shipments", condition{"order_id", "eq", strconv.FormatInt(order, 10)}, "", connectors.Normal)
	if err != nil {
		return outcome(nil, unsent(err))
	}
	lines, refused := wantedLines(items, w.Lines)
	if refused == nil {
		lines, refused, err = p.bundles(ctx, items, lines)
		if err != nil {
			return outcome(nil, unsent(err))
		}
	}
	// Done before refused: what was done leaves nothing to do.
	for _, node := range nodes {
		if done(node, w, lines) {
			return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED, Message: "it was done before"}, nil
		}
	}
	if refused == nil {
		refused = leftFor(items, lines)
	}
	if refused != nil {
		return *refused, nil
	}
	in := shipmentInput{Items: lines, Notify: w.Notify, Say: shipmentComment{Comment: marker(w.CommandID)}}
	if w.Tracking != "" {
		in.Tracks = []shipmentTrack{p.track(w)}
	}
	a, err := p.write(ctx, http.MethodPost, "/V1/order/"+w.OrderID+"/ship", in, connectors.Normal)
	if err != nil {
		return outcome(nil, err)
	}
	if id, err := strconv.ParseInt(strings.Trim(a.body, "\" \n"), 10, 64); err != nil || id <= 0 {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: codeNotPossible, Message: "the shop answered no shipment's id: " + calls.Clip(a.body)}, nil
	}
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, nil
}

// track is the parcel under the carrier's code in the shop; one that the shop has no module
// for is "custom", and the title says who carries it.
func (p *shipper) track(w connectors.FulfilmentWrite) shipmentTrack {
	t := shipmentTrack{Number: w.Tracking, Title: w.CarrierName, Carrier: p.cfg.Carriers[strings.ToLower(w.CarrierCode)]}
	if t.Carrier == "" {
		t.Carrier = "custom"
	}
	if t.Title == "" {
		if t.Title = w.CarrierCode; t.Title == "" {
			t.Title = "Parcel"
		}
	}
	return t
}

// unsent marks an error that came before anything was written.
func unsent(err error) error {
	if err == nil {
		return nil
	}
	return calls.Unsent(err)
}

// outcome is a result: a refusal that was found, or what an error says.
func outcome(refused *connectors.Result, err error) (connectors.Result, error) {
	if refused != nil {
		return *refused, nil
	}
	r := resultOf(err)
	if errors.Is(err, connectors.ErrNeedsAuthorisation) || errors.Is(err, context.Canceled) {
		return r, err
	}
	return r, nil
}

func refuse(code, format string, args ...any) *connectors.Result {
	r := refusal(code, fmt.Sprintf(format, args...))
	return &r
}

// orderItems reads the lines of an order.
func (c *client) orderItems(ctx context.Context, id string) ([]item, *connectors.Result, error) {
	if n, err := strconv.ParseInt(id, 10, 64); err != nil || n <= 0 {
		return nil, refuse(codeNoOrder, "%q is no order's id", id), nil
	}
	a, err := c.read(ctx, "/V1/orders/"+id, nil, connectors.Normal)
	if errors.Is(err, errNotFound) {
		return nil, refuse(codeNoOrder, "the shop has no order %s", id), nil
	}
	if err != nil {
		return nil, nil, err
	}
	items, err := itemsOf(a.body)
	return items, nil, err
}

// left is how many units of a row can still be shipped.
func (it *item) left() int64 {
	return max(0, it.ordered-it.cancelled-max(it.shipped, it.refunded))
}

// wantedLines turns our lines into Magento's; none means everything that is left.
func wantedLines(items []item, lines []connectors.LineQuantity) ([]shipmentItem, *connectors.Result) {
	known := goodsOf(items)
	if len(lines) == 0 {
		for i := range known {
			if n := known[i].left(); n > 0 && known[i].stocked {
				lines = append(lines, connectors.LineQuantity{LineID: known[i].id, Quantity: n})
			}
		}
	}
	out := make([]shipmentItem, 0, len(lines))
	for _, l := range lines {
		at := slices.IndexFunc(known, func(g goods) bool { return g.id == l.LineID })
		id, err := strconv.ParseInt(l.LineID, 10, 64)
		if at < 0 || err != nil {
			return nil, refuse(codeNoLine, "the order has no line %q", l.LineID)
		}
		if l.Quantity < 1 {
			return nil, refuse(codeNoLine, "%d units of line %s", l.Quantity, l.LineID)
		}
		if same := slices.IndexFunc(out, func(s shipmentItem) bool { return s.Item == id }); same >= 0 {
			out[same].Quantity += l.Quantity
			continue
		}
		out = append(out, shipmentItem{id, l.Quantity})
	}
	return out, nil
}

// leftFor refuses what is more than is left: Magento would not.
func leftFor(items []item, lines []shipmentItem) *connectors.Result {
	if len(lines) == 0 {
		return refuse(codeNothingLeft, "nothing is left to ship")
	}
	for _, l := range lines {
		if it := byID(items, strconv.FormatInt(l.Item, 10)); it == nil || l.Quantity > it.left() {
			return refuse(codeNothingLeft, "%d units of line %d are not left to ship: the shop has shipped, cancelled or refunded them", l.Quantity, l.Item)
		}
	}
	return nil
}

// done says whether a shipment is the one that is to be made.
func done(node string, w connectors.FulfilmentWrite, lines []shipmentItem) bool {
	var s struct {
		Items []struct {
			Item     int64   `json:"order_item_id"`
			Quantity float64 `json:"qty"`
		} `json:"items"`
		Tracks []struct {
			Number string `json:"track_number"`
		} `json:"tracks"`
		Comments []struct {
			Comment string `json:"comment"`
		} `json:"comments"`
	}
	if json.Unmarshal([]byte(node), &s) != nil {
		return false
	}
	for _, c := range s.Comments {
		if w.CommandID != "" && strings.Contains(c.Comment, marker(w.CommandID)) {
			return true
		}
	}
	if w.Tracking == "" || !slices.ContainsFunc(s.Tracks, func(t struct {
		Number string `json:"track_number"`
	}) bool {
		return t.Number == w.Tracking
	}) {
		return false
	}
	if len(w.Lines) == 0 {
		return true
	}
	for _, l := range lines {
		if !slices.ContainsFunc(s.Items, func(i struct {
			Item     int64   `json:"order_item_id"`
			Quantity float64 `json:"qty"`
		}) bool {
			return i.Item == l.Item && int64(i.Quantity) == l.Quantity
		}) {
			return false
		}
	}
	return true
}

// bundles replaces the parts of a bundle that is shipped together by the bundle itself, which
// is what Magento wants to hear. Whether it is, its product says (shipment_type 0).
func (p *shipper) bundles(ctx context.Context, items []item, lines []shipmentItem) ([]shipmentItem, *connectors.Result, error) {
	whole := map[string][]shipmentItem{}
	var out []shipmentItem
	var order []string
	for _, l := range lines {
		it := byID(items, strconv.FormatInt(l.Item, 10))
		if it.parent == "" || byID(items, it.parent) == nil || byID(items, it.parent).kind != "bundle" {
			out = append(out, l)
			continue
		}
		if whole[it.parent] == nil {
			order = append(order, it.parent)
		}
		whole[it.parent] = append(whole[it.parent], l)
	}
	for _, id := range order {
		bundle := byID(items, id)
		together, err := p.together(ctx, bundle.product)
		if err != nil {
			return nil, nil, err
		}
		if !together {
			out = append(out, whole[id]...)
			continue
		}
		sets, refused := setsOf(items, bundle, whole[id])
		if refused != nil {
			return nil, refused, nil
		}
		n, _ := strconv.ParseInt(id, 10, 64)
		out = append(out, shipmentItem{n, sets})
	}
	return out, nil, nil
}

// setsOf is how many whole bundles the parts make.
func setsOf(items []item, bundle *item, parts []shipmentItem) (sets int64, refused *connectors.Result) {
	goodsInIt := 0
	for i := range items {
		if items[i].parent == bundle.id && stockedKind(items[i].kind) {
			goodsInIt++
		}
	}
	for n, l := range parts {
		each := int64(0)
		if it := byID(items, strconv.FormatInt(l.Item, 10)); bundle.ordered > 0 {
			each = it.ordered / bundle.ordered
		}
		if each == 0 || l.Quantity%each != 0 || n > 0 && l.Quantity/each != sets {
			return 0, refuse(codeBundle, "the shop ships bundle %s as a whole, and these parts are not whole ones", bundle.sku)
		}
		sets = l.Quantity / each
	}
	if len(parts) != goodsInIt {
		return 0, refuse(codeBundle, "the shop ships bundle %s as a whole, and %d of its %d parts are to be shipped", bundle.sku, len(parts), goodsInIt)
	}
	return sets, nil
}

// together says whether a bundle is shipped as a whole.
func (p *shipper) together(ctx context.Context, product string) (bool, error) {
	s := search{where: []condition{{"entity_id", "eq", product}}, size: 1, fields: "items[id,custom_attributes],total_count"}
	a, err := p.read(ctx, "/V1/products", s.query(), connectors.Normal)
	if err != nil {
		return false, fmt.Errorf("looking up bundle %s: %w", product, err)
	}
	var found struct {
		Items []struct {
			Attributes []struct {
				Code  string          `json:"attribute_code"`
				Value json.RawMessage `json:"value"`
			} `json:"custom_attributes"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(a.body), &found); err != nil {
		return false, fmt.Errorf("looking up bundle %s: %w", product, err)
	}
	for _, it := range found.Items {
		for _, at := range it.Attributes {
			if at.Code == "shipment_type" {
				return strings.Trim(string(at.Value), `"`) == "0", nil
			}
		}
	}
	return false, nil
}
