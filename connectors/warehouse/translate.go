package warehouse

import (
	"fmt"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// maxQuantity is beyond every warehouse, and far from the end of int64.
const maxQuantity = 1_000_000_000

// Longest texts, in bytes.
const (
	maxWord = 255
	maxNote = 1000
)

// Kinds that are no mere adjustments: a return that no order explains, and one of an order whose
// platform does not tell of it, or not of all of it.
const (
	kindReturn = "unmatched_return"
	kindBack   = "return"
)

// moveKind of the kinds that are adjustments.
func moveKind(kind string) (event.MoveKind, bool) {
	switch kind {
	case "opening":
		return event.MoveKind_MOVE_KIND_OPENING, true
	case "receipt":
		return event.MoveKind_MOVE_KIND_RECEIPT, true
	case "write_off":
		return event.MoveKind_MOVE_KIND_WRITE_OFF, true
	case "correction":
		return event.MoveKind_MOVE_KIND_CORRECTION, true
	default:
		return 0, false
	}
}

// translator turns one entry into one fact; a return is goods on a shelf and a word to its order.
type translator struct{}

// fields are all that an entry may hold, of whatever kind.
type fields struct {
	id, reference, sku, warehouse, note, buyer, reason string
	account, order                                     string
	quantity                                           int64
	occurred                                           time.Time
	amount                                             *event.Money
}

func (translator) Translate(r *connectors.Record) (connectors.Facts, error) {
	if r.Format != Format {
		return connectors.Facts{}, fmt.Errorf("format %q: %w", clip(r.Format), connectors.ErrUnsupported)
	}
	parts, err := members(r.Body, "$")
	if err != nil {
		return connectors.Facts{}, err
	}
	kind, err := kindOf(parts)
	if err != nil {
		return connectors.Facts{}, err
	}
	if isRequest(kind) {
		return requested(parts, kind)
	}
	f, err := read(parts, kind)
	if err != nil {
		return connectors.Facts{}, err
	}
	if kind == kindReturn {
		return connectors.Facts{Returns: []*event.UnmatchedReturn{{
			Account: r.Account, Id: f.id, Reference: f.reference, Sku: f.sku, Quantity: f.quantity,
			Amount: f.amount, BuyerId: f.buyer, Reason: f.reason, OccurredMs: f.occurred.UnixMilli(),
		}}}, nil
	}
	move, ok := moveKind(kind)
	if !ok {
		move = event.MoveKind_MOVE_KIND_RETURN
	}
	var facts connectors.Facts
	if f.sku != "" {
		facts.Adjustments = []*event.Adjustment{{
			Account: r.Account, Id: f.id, Reference: f.reference, Sku: f.sku, Warehouse: f.warehouse,
			Kind: move, Quantity: f.quantity, OccurredMs: f.occurred.UnixMilli(), Note: f.note,
		}}
	}
	if kind == kindBack {
		// It moves no stock of the order's: the goods are counted where they lie.
		facts.Returned = []*event.Refund{{
			Account: f.account, OrderId: f.order, Id: r.Account + "/" + f.id, CreatedMs: f.occurred.UnixMilli(), Total: f.amount, Note: f.reference,
		}}
	}
	return facts, nil
}

// kindOf is looked at before everything else: the members of a kind that we do not know say
// nothing to us.
func kindOf(parts []member) (string, error) {
	for _, m := range parts {
		if m.name != "kind" {
			continue
		}
		kind, err := text(m.value, "$.kind", maxWord, false)
		if err != nil {
			return "", err
		}
		if _, ok := moveKind(kind); !ok && kind != kindReturn && kind != kindBack && !isRequest(kind) {
			return "", fmt.Errorf("$.kind: %q is not known: send opening, receipt, write_off, correction, %s, %s, or a request: %s, %s, %s or %s: %w", clip(kind), kindBack, kindReturn,
				kindPrice, kindShipment, kindCancellation, kindRefund, connectors.ErrUnsupported)
		}
		return kind, nil
	}
	return "", malformed("$.kind", "it is missing")
}

// read takes the members of a kind. One that the kind does not have is refused: it is a typo,
// or means something that would be lost without a word.
func read(parts []member, kind string) (fields, error) {
	var f fields
	required := map[string]bool{"id": true, "occurred_at": true}
	switch kind {
	case kindReturn:
		required["sku"], required["quantity"], required["amount"], required["reason"] = true, true, true, true
	case kindBack:
		required["account"], required["order"] = true, true
	default:
		required["sku"], required["quantity"], required["warehouse"] = true, true, true
	}
	for _, m := range parts {
		if m.name == "kind" {
			continue
		}
		if err := f.set(m, kind); err != nil {
			return fields{}, err
		}
		delete(required, m.name)
	}
	for _, name := range []string{"id", "account", "order", "sku", "warehouse", "quantity", "amount", "reason", "occurred_at"} {
		if required[name] {
			return fields{}, malformed("$."+name, "it is missing")
		}
	}
	if kind == kindBack {
		return f, f.back()
	}
	return f, nil
}

// back looks at what a return brings back: goods, money, or both.
func (f *fields) back() error {
	if goods := f.sku != ""; goods != (f.warehouse != "") || goods != (f.quantity != 0) {
		return malformed("$", "goods that came back need sku, warehouse and quantity, all three of them")
	}
	if f.sku == "" && f.amount == nil {
		return malformed("$", "nothing came back: give sku, warehouse and quantity of the goods, or the amount, or both")
	}
	return nil
}

func (f *fields) set(m member, kind string) (err error) {
	path := "$." + clip(m.name)
	isReturn := kind == kindReturn
	switch {
	case m.name == "id":
		f.id, err = text(m.value, path, maxID, false)
	case m.name == "sku":
		f.sku, err = text(m.value, path, maxWord, false)
	case m.name == "reference":
		f.reference, err = text(m.value, path, maxWord, true)
	case m.name == "occurred_at":
		f.occurred, err = instant(m.value, path)
	case m.name == "quantity":
		f.quantity, err = quantity(m.value, path, kind)
	case m.name == "warehouse" && !isReturn:
		f.warehouse, err = text(m.value, path, maxWord, false)
	case m.name == "account" && kind == kindBack:
		f.account, err = text(m.value, path, maxWord, false)
	case m.name == "order" && kind == kindBack:
		f.order, err = text(m.value, path, maxWord, false)
	case m.name == "note" && !isReturn:
		f.note, err = text(m.value, path, maxNote, true)
	case m.name == "buyer_id" && isReturn:
		f.buyer, err = text(m.value, path, maxWord, true)
	case m.name == "reason" && isReturn:
		f.reason, err = text(m.value, path, maxNote, false)
	case m.name == "amount" && (isReturn || kind == kindBack):
		f.amount, err = amount(m.value, path)
	default:
		return malformed(path, "an entry of kind %s has no such member", kind)
	}
	return err
}

// quantity is how many units moved; the kind says in which direction. A correction alone goes
// both ways, and says so by its sign.
func quantity(value []byte, path, kind string) (int64, error) {
	n, err := integer(value, path)
	if err != nil {
		return 0, err
	}
	if n == 0 || n < 0 && kind != "correction" {
		return 0, malformed(path, "%d: write the units as a number above 0, the kind says in which direction they go", n)
	}
	return n, nil
}

// amount is what is to be given back, in smallest units.
func amount(value []byte, path string) (*event.Money, error) {
	figure, currency, err := amountTexts(value, path)
	if err != nil {
		return nil, err
	}
	minor, err := money.Parse(Name, currency, figure)
	if err != nil {
		return nil, malformed(path, "%v", err)
	}
	if minor < 0 {
		return nil, malformed(path+".text", "%s: write what is to be given back without a sign", figure)
	}
	return &event.Money{Minor: minor, Currency: currency}, nil
}

// amountTexts reads {"text":"12.75","currency":"GBP"}: text, since a JSON number may have gone
// through a float on its way.
func amountTexts(value []byte, path string) (figure, currency string, err error) {
	parts, err := members(value, path)
	if err != nil {
		return "", "", err
	}
	for _, m := range parts {
		switch m.name {
		case "text":
			figure, err = text(m.value, path+".text", 32, false)
		case "currency":
			currency, err = text(m.value, path+".currency", 3, false)
		default:
			err = malformed(path+"."+clip(m.name), "an amount has no such member")
		}
		if err != nil {
			return "", "", err
		}
	}
	if figure == "" || currency == "" {
		return "", "", malformed(path, "it needs text and currency")
	}
	return figure, currency, nil
}
