package amazon

// What is given back of which item. It is apart from sending it because none of it asks anybody.

import (
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// component is a Type of BuyerPrice (amzn-base.xsd) that is refunded.
type component int

const (
	compPrincipal component = iota
	compTax
	compShipping
	compShippingTax
	compGift
	components
)

var componentNames = [components]string{"Principal", "Tax", "Shipping", "ShippingTax", "GiftWrap"}

// part is what is given back of one item, in the smallest units of the order's currency.
type part struct {
	Item string            `json:"item"`
	By   [components]int64 `json:"by"`
}

// soldItem is what was paid for an item, and what of it was not given back.
type soldItem struct {
	id              string
	units, shipped  int64
	paid, remaining [components]int64
}

// soldOrder is what decides a refund.
type soldOrder struct {
	market, currency string
	items            []*soldItem
}

// sold reads what was paid for each item, as the translator does. Tax that lies within the prices
// is part of them (https://github.com/amzn/selling-partner-api-docs/issues/767), and tax that
// Amazon itself collects is Amazon's to give back.
func sold(o *orderNow) (*soldOrder, error) {
	t := &translation{r: jsonread.New(o.node)}
	order := t.order()
	t.r.End()
	if err := t.r.Err(); err != nil {
		return nil, fmt.Errorf("reading what was paid: %w", err)
	}
	all := &soldOrder{market: o.Channel.Marketplace, currency: order.Currency}
	for i, m := range t.items {
		l := order.Lines[i]
		item := &soldItem{id: l.Id, units: l.Quantity, shipped: l.Fulfilled}
		item.paid[compPrincipal] = m.by[catItem] - m.by[catDiscount] + m.shippingDiscount
		item.paid[compShipping] = m.by[catShipping] - m.shippingDiscount
		item.paid[compGift] = m.by[catGift]
		if !order.TaxesIncluded && !m.remitted {
			item.paid[compTax] = m.by[catTax] - m.shippingTax
			item.paid[compShippingTax] = m.shippingTax
		}
		for c := range item.paid {
			item.paid[c] = max(0, item.paid[c])
		}
		item.remaining = item.paid
		all.items = append(all.items, item)
	}
	return all, nil
}

// cell is one component of one item, and how much of it may be taken.
type cell struct {
	item *soldItem
	at   component
	room int64
}

// share spreads a refund over items and components. What other commands gave back, or may have,
// is not there any more; what the books tell beyond that was given back by somebody else.
func (o *soldOrder) share(journal map[string]*sending, known []givenBack, w connectors.RefundWrite) ([]part, *connectors.Result) {
	no := func(r connectors.Result) ([]part, *connectors.Result) { return nil, &r }
	ours, goods, books := int64(0), int64(0), int64(0)
	for _, s := range journal {
		if s.Kind != feedRefund || s.Over && !s.Done {
			continue
		}
		for _, p := range s.Parts {
			ours += p.By[compPrincipal]
			if i := o.item(p.Item); i != nil {
				for c := range p.By {
					i.remaining[c] = max(0, i.remaining[c]-p.By[c])
				}
			}
		}
	}
	for _, g := range known {
		books += g.goods
	}
	for _, i := range o.items {
		goods += i.remaining[compPrincipal]
	}
	units := map[string]int64{}
	for _, l := range w.Lines {
		i := o.item(l.LineID)
		if i == nil || l.Quantity < 1 || units[l.LineID]+l.Quantity > i.units {
			return no(refused(codeNoLine, fmt.Sprintf("the order has no %d units of line %q", l.Quantity, calls.Clip(l.LineID))))
		}
		if i.shipped == 0 {
			return no(later(codeUnshipped, pendingPause, "line "+i.id+" is not shipped, so that it was not paid for"))
		}
		units[l.LineID] += l.Quantity
	}
	// Tiers are emptied one after another, each in proportion.
	var tiers [4][]cell
	for _, i := range o.items {
		n := units[i.id]
		if i.shipped == 0 || len(w.Lines) > 0 && n == 0 {
			continue
		}
		for _, c := range []component{compPrincipal, compTax} {
			first := i.remaining[c]
			if n > 0 {
				part, err := money.MulDiv(i.paid[c], n, i.units)
				if err != nil {
					return no(refused(codeAmount, err.Error()))
				}
				first = min(first, part)
			}
			tiers[0] = append(tiers[0], cell{i, c, first})
			tiers[1] = append(tiers[1], cell{i, c, i.remaining[c] - first})
		}
		tiers[2] = append(tiers[2], cell{i, compShipping, i.remaining[compShipping]}, cell{i, compShippingTax, i.remaining[compShippingTax]})
		tiers[3] = append(tiers[3], cell{i, compGift, i.remaining[compGift]})
	}
	amount := roomOf(tiers[0])
	if w.Amount != nil {
		if w.Amount.GetCurrency() != o.currency {
			return no(refused(codeCurrency, fmt.Sprintf("the order was paid in %s, not %s", o.currency, calls.Clip(w.Amount.GetCurrency()))))
		}
		amount = w.Amount.GetMinor()
	}
	left := amount
	given := map[*soldItem]*part{}
	for _, tier := range tiers {
		taken, err := take(tier, left)
		if err != nil {
			return no(refused(codeAmount, err.Error()))
		}
		for i, c := range tier {
			if taken[i] == 0 {
				continue
			}
			if given[c.item] == nil {
				given[c.item] = &part{Item: c.item.id}
			}
			given[c.item].By[c.at] += taken[i]
			left -= taken[i]
		}
	}
	var parts []part
	principal := int64(0)
	for _, i := range o.items {
		if p := given[i]; p != nil {
			parts = append(parts, *p)
			principal += p.By[compPrincipal]
		}
	}
	switch elsewhere := max(0, books-ours); {
	case left > 0 || principal > goods-elsewhere:
		return no(refused(codeMoreThan, fmt.Sprintf("%d smallest units of %s are more than is left of what was paid for these lines", amount, o.currency)))
	case len(parts) == 0:
		return no(refused(codeMoreThan, "nothing is left of what was paid for these lines"))
	case len(parts) > maxMessages:
		return no(refused(codeNoLine, fmt.Sprintf("%d items in one refund, %d are taken", len(parts), maxMessages)))
	}
	return parts, nil
}

func (o *soldOrder) item(id string) *soldItem {
	for _, i := range o.items {
		if i.id == id {
			return i
		}
	}
	return nil
}

func roomOf(tier []cell) (sum int64) {
	for _, c := range tier {
		sum += c.room
	}
	return sum
}

// take takes an amount out of a tier: all of it when it is not more than that, otherwise in
// proportion to what is there, to the smallest unit.
func take(tier []cell, amount int64) ([]int64, error) {
	rooms := make([]int64, len(tier))
	for i, c := range tier {
		rooms[i] = c.room
	}
	switch {
	case amount >= roomOf(tier):
		return rooms, nil
	case amount == 0:
		return make([]int64, len(tier)), nil
	}
	return money.Allocate(amount, rooms)
}

// messages writes the parts, one message each.
func (o *soldOrder) messages(w connectors.RefundWrite, parts []part) (all []feedMessage, err error) {
	for n, p := range parts {
		item := adjustedItem{Code: p.Item, Own: fmt.Sprintf("%s-%d", w.CommandID, n+1), Reason: refundReason(w.Restock)}
		for c, minor := range p.By {
			if minor == 0 {
				continue
			}
			text, err := money.Format(provider, &event.Money{Minor: minor, Currency: o.currency})
			if err != nil {
				return nil, fmt.Errorf("item %s: %w", calls.Clip(p.Item), err)
			}
			item.Components = append(item.Components, adjustedComponent{componentNames[c], adjustedAmount{o.currency, text}})
		}
		all = append(all, feedMessage{ID: messageID(w.CommandID, n), Refund: &adjustment{w.OrderID, "Refund", item}})
	}
	return all, nil
}

// refundReason is an AdjustmentReason of OrderAdjustment.xsd.
func refundReason(r event.Restock) string {
	switch r {
	case event.Restock_RESTOCK_RETURN:
		return "CustomerReturn"
	case event.Restock_RESTOCK_CANCEL:
		return "CustomerCancel"
	}
	return "GeneralAdjustment"
}
