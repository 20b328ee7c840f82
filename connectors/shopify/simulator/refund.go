package simulator

import (
	"fmt"
	"strconv"
	"strings"
)

// pay makes the payments of an order that was paid.
func (s *Simulator) pay(o *order) error {
	if !o.spec.Paid {
		return nil
	}
	rest := o.total()
	for i, p := range o.spec.Payments {
		minor, err := s.minor(p.Amount)
		if err != nil || minor < 1 || minor > rest {
			return fmt.Errorf("payment %d: %q of %d: %v", i+1, p.Amount, rest, err)
		}
		o.payments = append(o.payments, &transaction{id: s.partID(), kind: "SALE", gateway: p.Gateway, minor: minor})
		rest -= minor
	}
	if rest > 0 {
		o.payments = append(o.payments, &transaction{id: s.partID(), kind: "SALE", gateway: "manual", minor: rest})
	}
	return nil
}

// left is what of a payment was not given back.
func (o *order) left(t *transaction) int64 {
	minor := t.minor
	for _, back := range o.payments {
		if back.parent == t {
			minor -= back.minor
		}
	}
	return minor
}

// giveBack spreads what the admin gives back over the payments; what nobody paid is given in
// cash.
func (s *Simulator) giveBack(o *order, total int64) (back []*transaction) {
	for _, t := range o.payments {
		if part := min(total, o.left(t)); t.kind == "SALE" && part > 0 {
			back = append(back, &transaction{id: s.partID(), kind: "REFUND", gateway: t.gateway, minor: part, parent: t})
			total -= part
		}
	}
	if total != 0 {
		back = append(back, &transaction{id: s.partID(), kind: "REFUND", gateway: "manual", minor: total})
	}
	return back
}

func (x *exec) transaction(t *transaction, fields []*field) {
	x.object("OrderTransaction", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("OrderTransaction", t.id)
		case "kind":
			x.quote(t.kind)
		case "status":
			x.quote("SUCCESS")
		case "gateway":
			x.quote(t.gateway)
		case "amountSet":
			return x.bag(f, t.minor)
		case "parentTransaction":
			if t.parent == nil {
				x.null()
				return true
			}
			x.transaction(t.parent, f.under)
		default:
			return false
		}
		return true
	})
}

// createRefund carries out refundCreate.
func (x *exec) createRefund(f *field) {
	made, failures := x.giveRefund(f)
	x.payload("RefundCreatePayload", f, failures, func(f *field) bool {
		if f.name != "refund" {
			return false
		}
		if made == nil {
			x.null()
			return true
		}
		x.refund(made, f.under)
		return true
	})
}

func (x *exec) giveRefund(f *field) (*refund, []failureOf) {
	s := x.s
	input, _ := x.arg(f, "input").(map[string]any)
	key, content, ok := x.idempotent(f, input)
	if !ok {
		return nil, nil
	}
	if u, known := s.keys.known[key]; known {
		if failures := u.spent(content); failures != nil {
			return nil, failures
		}
		s.stats.RefundsRepeated++
		return u.refund, nil
	}
	made, failures := (*refund)(nil), x.refuses()
	if failures == nil {
		made, failures = x.checkedRefund(input)
	}
	if x.err == nil {
		s.keys.remember(key, used{content: content, failed: len(failures) > 0, refund: made})
	}
	return made, failures
}

func (x *exec) checkedRefund(input map[string]any) (*refund, []failureOf) {
	s := x.s
	refuse := func(member, format string, args ...any) (*refund, []failureOf) {
		return nil, []failureOf{{message: fmt.Sprintf(format, args...), field: []string{member}}}
	}
	text, _ := input["orderId"].(string)
	_, id := split(text)
	o := s.orders[id]
	if o == nil {
		return refuse("orderId", "Order does not exist")
	}
	spec := RefundSpec{payments: []*transaction{}}
	spec.Note, _ = input["note"].(string)
	lines, _ := input["refundLineItems"].([]any)
	transactions, _ := input["transactions"].([]any)
	if len(lines) > 250 || len(transactions) > 250 {
		x.fail("MAX_INPUT_SIZE_EXCEEDED", "The input array size is greater than the maximum allowed of 250.")
		return nil, nil
	}
	for i, l := range lines {
		l, _ := l.(map[string]any)
		text, _ := l["lineItemId"].(string)
		_, id := split(text)
		units, _ := whole(l["quantity"])
		how, _ := l["restockType"].(string)
		location, _ := l["locationId"].(string)
		if how != "NO_RESTOCK" && location == "" {
			return refuse("refundLineItems", "Refund line items %d: a location is needed to restock", i)
		}
		spec.Lines = append(spec.Lines, RefundLineSpec{Line: id, Quantity: units, Restock: strings.ToLower(how)})
	}
	given := map[*transaction]int64{}
	for i, t := range transactions {
		t, _ := t.(map[string]any)
		text, _ := t["parentId"].(string)
		_, id := split(text)
		var parent *transaction
		for _, p := range o.payments {
			if p.id == id && p.kind == "SALE" {
				parent = p
			}
		}
		amount, _ := t["amount"].(string)
		minor, err := s.minor(amount)
		kind, _ := t["kind"].(string)
		gateway, _ := t["gateway"].(string)
		switch {
		case parent == nil || gateway != parent.gateway:
			return refuse("transactions."+strconv.Itoa(i), "Parent transaction is invalid")
		case err != nil || minor < 1 || kind != "REFUND":
			return refuse("transactions."+strconv.Itoa(i), "Transaction is invalid")
		}
		if given[parent] += minor; given[parent] > o.left(parent) {
			return refuse("transactions."+strconv.Itoa(i), "Refund amount cannot be more than the amount available")
		}
		spec.payments = append(spec.payments, &transaction{id: s.partID(), kind: "REFUND", gateway: gateway, minor: minor, parent: parent})
	}
	made, mail, err := s.refund(o, spec)
	if err != nil {
		return refuse("refundLineItems", "%v", err)
	}
	x.mail = s.postOrder(append(x.mail, mail...), o, "orders/updated")
	s.stats.Refunds++
	return made, nil
}
