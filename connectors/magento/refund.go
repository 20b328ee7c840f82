package magento

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Codes of refunds.
const (
	codeNotExact  = "AMOUNT_NOT_EXACT"
	codeInvoices  = "SEVERAL_INVOICES"
	codeDifferent = "AMOUNT_DIFFERS"
)

// refunder makes credit memos.
type refunder struct{ *client }

// refundOrder is what of an order a credit memo is reckoned from.
type refundOrder struct {
	Currency string       `json:"base_currency_code"`
	Items    []refundItem `json:"items"`
}

type refundItem struct {
	ID             int64       `json:"item_id"`
	Invoiced       json.Number `json:"qty_invoiced"`
	Refunded       json.Number `json:"qty_refunded"`
	Row            json.Number `json:"base_row_invoiced"`
	RowBack        json.Number `json:"base_amount_refunded"`
	Tax            json.Number `json:"base_tax_invoiced"`
	TaxBack        json.Number `json:"base_tax_refunded"`
	Discount       json.Number `json:"base_discount_invoiced"`
	DiscountBack   json.Number `json:"base_discount_refunded"`
	Compensate     json.Number `json:"base_discount_tax_compensation_invoiced"`
	CompensateBack json.Number `json:"base_discount_tax_compensation_refunded"`
}

// refundInput is the body of POST order/{id}/refund, and with Online of invoice/{id}/refund.
type refundInput struct {
	Items     []shipmentItem  `json:"items"`
	Online    *bool           `json:"isOnline,omitempty"`
	Notify    bool            `json:"notify"`
	Append    bool            `json:"appendComment"` // to the mail
	Say       shipmentComment `json:"comment"`
	Arguments refundArguments `json:"arguments"`
}

type refundArguments struct {
	// Shipping is always told: what is not told of it is all of it.
	Shipping int         `json:"shipping_amount"`
	Plus     json.Number `json:"adjustment_positive"`
	Minus    json.Number `json:"adjustment_negative"`
	Extra    *refundBack `json:"extension_attributes,omitempty"`
}

type refundBack struct {
	Back []int64 `json:"return_to_stock_items"`
}

// PushRefund makes a credit memo. Magento makes another one when it is told twice: so the
// order's memos are read first, and one with this command's mark is taken as done. It reckons
// the amount itself, from shares of each line that it rounds; the difference to what is to be
// given back is an adjustment, and where a share has to be rounded the refund is refused
// rather than wrong by a cent. An order that was paid online is refunded by its invoice, so
// that the money moves; any other only in the books.
func (p *refunder) PushRefund(ctx context.Context, w connectors.RefundWrite) (connectors.Result, error) {
	if !digitsOnly(w.OrderID) {
		return *refuse(codeNoOrder, "%q is no order's id", w.OrderID), nil
	}
	memo, err := p.marked(ctx, w)
	if err != nil {
		return outcome(nil, unsent(err))
	}
	if memo != "" {
		return p.compared(memo, w), nil
	}
	in, refused, err := p.memo(ctx, w)
	if refused != nil || err != nil {
		return outcome(refused, unsent(err))
	}
	path, refused, err := p.payee(ctx, w.OrderID)
	if refused != nil || err != nil {
		return outcome(refused, unsent(err))
	}
	if strings.HasPrefix(path, "/V1/invoice/") {
		online := true
		in.Online = &online
	}
	if _, err := p.write(ctx, http.MethodPost, path, in, connectors.Normal); err != nil {
		return outcome(nil, err)
	}
	if memo, err = p.marked(ctx, w); err != nil || memo == "" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: codeNotPossible, Message: "the credit memo that was made cannot be found"}, nil
	}
	return p.compared(memo, w), nil
}

// marked is the credit memo that this command made; empty when there is none.
func (p *refunder) marked(ctx context.Context, w connectors.RefundWrite) (string, error) {
	nodes, err := p.all(ctx, "/V1/creditmemos", condition{"order_id", "eq", w.OrderID}, "", connectors.Normal)
	if err != nil {
		return "", err
	}
	for _, node := range nodes {
		var m struct {
			Comments []struct {
				Comment string `json:"comment"`
			} `json:"comments"`
		}
		if err := json.Unmarshal([]byte(node), &m); err != nil {
			return "", fmt.Errorf("reading the credit memos of order %s: %w", w.OrderID, err)
		}
		for _, c := range m.Comments {
			if w.CommandID != "" && strings.Contains(c.Comment, marker(w.CommandID)) {
				return node, nil
			}
		}
	}
	return "", nil
}

// compared says whether a memo gave back what was wanted. What it gave is given in any case.
func (p *refunder) compared(node string, w connectors.RefundWrite) connectors.Result {
	r := connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
	var m struct {
		Total    json.Number `json:"base_grand_total"`
		Currency string      `json:"base_currency_code"`
	}
	if w.Amount == nil || json.Unmarshal([]byte(node), &m) != nil {
		return r
	}
	minor, err := money.ParseNumber(Name, w.Amount.GetCurrency(), m.Total.String())
	if err != nil || minor != w.Amount.GetMinor() {
		r.Code, r.Message = codeDifferent, fmt.Sprintf("the credit memo is of %s %s", m.Total, m.Currency)
	}
	return r
}

// memo reckons the credit memo.
func (p *refunder) memo(ctx context.Context, w connectors.RefundWrite) (*refundInput, *connectors.Result, error) {
	items, refused, err := p.orderItems(ctx, w.OrderID)
	if refused != nil || err != nil {
		return nil, refused, err
	}
	a, err := p.read(ctx, "/V1/orders/"+w.OrderID, nil, connectors.Normal)
	if err != nil {
		return nil, nil, err
	}
	var o refundOrder
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		return nil, nil, fmt.Errorf("reading order %s: %w", w.OrderID, err)
	}
	if c := w.Amount.GetCurrency(); w.Amount != nil && c != o.Currency {
		return nil, refuse(codeNotPossible, "the order's books are in %s, not %s", o.Currency, c), nil
	}
	note := marker(w.CommandID)
	if w.Note != "" {
		note = w.Note + " [" + note + "]"
	}
	in := &refundInput{Say: shipmentComment{Comment: note}, Arguments: refundArguments{Plus: "0", Minus: "0"}}
	lines := goodsOf(items)
	expected, exact := int64(0), true
	for _, l := range w.Lines {
		at := slices.IndexFunc(lines, func(g goods) bool { return g.id == l.LineID && g.money != nil })
		of := slices.IndexFunc(o.Items, func(i refundItem) bool { return strconv.FormatInt(i.ID, 10) == l.LineID })
		if at < 0 || of < 0 || l.Quantity < 1 {
			return nil, refuse(codeNoLine, "the order has no line %q that %d units can be refunded of", l.LineID, l.Quantity), nil
		}
		if slices.ContainsFunc(in.Items, func(s shipmentItem) bool { return s.Item == o.Items[of].ID }) {
			return nil, refuse(codeNoLine, "line %s stands twice in one refund", l.LineID), nil
		}
		share, whole, err := o.Items[of].share(o.Currency, l.Quantity)
		if err != nil {
			return nil, refuse(codeNotPossible, "line %s: %v", l.LineID, err), nil
		}
		if expected, err = money.Add(expected, share); err != nil {
			return nil, refuse(codeNotPossible, "line %s: %v", l.LineID, err), nil
		}
		exact = exact && whole
		in.Items = append(in.Items, shipmentItem{o.Items[of].ID, l.Quantity})
	}
	if w.Restock == event.Restock_RESTOCK_RETURN || w.Restock == event.Restock_RESTOCK_CANCEL {
		in.Arguments.Extra = &refundBack{}
		for _, l := range in.Items {
			in.Arguments.Extra.Back = append(in.Arguments.Extra.Back, l.Item)
		}
	}
	if refused := in.adjust(w, o, lines, expected, exact); refused != nil {
		return nil, refused, nil
	}
	return in, nil, nil
}

// adjust makes up the difference between what the lines come to and what is to be given back.
func (in *refundInput) adjust(w connectors.RefundWrite, o refundOrder, lines []goods, expected int64, exact bool) *connectors.Result {
	if w.Amount == nil {
		if len(in.Items) == 0 {
			return refuse(codeNotPossible, "a refund of neither lines nor money")
		}
		return nil
	}
	if w.Amount.GetMinor() <= 0 {
		return refuse(codeNotPossible, "a refund of nothing")
	}
	if !exact {
		return refuse(codeNotExact, "these units have no share of their lines that is whole: refund all of the line, or make the credit memo in the shop's admin")
	}
	if len(in.Items) == 0 {
		// No items would mean all of them: one with no units means none.
		at := slices.IndexFunc(lines, func(g goods) bool { return g.money != nil })
		if at < 0 {
			return refuse(codeNotPossible, "the order has no lines")
		}
		id, err := strconv.ParseInt(lines[at].id, 10, 64)
		if err != nil {
			return refuse(codeNoLine, "%q is no line's id", lines[at].id)
		}
		in.Items = []shipmentItem{{id, 0}}
	}
	difference, to := w.Amount.GetMinor()-expected, &in.Arguments.Plus
	if difference < 0 {
		difference, to = -difference, &in.Arguments.Minus
	}
	text, err := money.Format(Name, &event.Money{Minor: difference, Currency: o.Currency})
	if err != nil {
		return refuse(codeNotPossible, "%v", err)
	}
	*to = json.Number(text)
	return nil
}

// share is what units of a line come to: what is left of it, divided by the units that are
// left. whole says that nothing of it has to be rounded.
func (i refundItem) share(currency string, units int64) (total int64, whole bool, err error) {
	minor := func(n json.Number) int64 {
		if n == "" || err != nil {
			return 0
		}
		var v int64
		v, err = money.ParseNumber(Name, currency, n.String())
		return v
	}
	count := func(n json.Number) int64 {
		if n == "" || err != nil {
			return 0
		}
		wholes, fraction, _ := strings.Cut(n.String(), ".")
		var v int64
		if v, err = strconv.ParseInt(wholes, 10, 64); err == nil && something(fraction) {
			err = fmt.Errorf("%s units: only whole ones can be counted", n)
		}
		return v
	}
	left := count(i.Invoiced) - count(i.Refunded)
	if err != nil {
		return 0, false, err
	}
	if units > left {
		return 0, false, fmt.Errorf("%d units cannot be refunded, %d were paid and not refunded", units, left)
	}
	whole = true
	for _, part := range []struct {
		sum, back json.Number
		sign      int64
	}{{i.Row, i.RowBack, 1}, {i.Tax, i.TaxBack, 1}, {i.Compensate, i.CompensateBack, 1}, {i.Discount, i.DiscountBack, -1}} {
		rest := minor(part.sum) - minor(part.back)
		if err != nil {
			return 0, false, err
		}
		v, mulErr := money.MulDiv(rest, units, left)
		if mulErr != nil {
			return 0, false, mulErr
		}
		whole = whole && divides(rest, units, left)
		if total, mulErr = money.Add(total, part.sign*v); mulErr != nil {
			return 0, false, mulErr
		}
	}
	return total, whole, nil
}

// divides says whether a × b is a multiple of c; b and c are above zero.
func divides(a, b, c int64) bool {
	magnitude := uint64(a)
	if a < 0 {
		magnitude = uint64(-a)
	}
	hi, lo := bits.Mul64(magnitude, uint64(b))
	return hi < uint64(c) && bits.Rem64(hi, lo, uint64(c)) == 0
}

// payee says where the refund is made: at the invoice, when it was paid online.
func (p *refunder) payee(ctx context.Context, order string) (string, *connectors.Result, error) {
	nodes, err := p.all(ctx, "/V1/invoices", condition{"order_id", "eq", order}, "", connectors.Normal)
	if err != nil {
		return "", nil, err
	}
	var online []int64
	for _, node := range nodes {
		var v struct {
			ID          int64   `json:"entity_id"`
			State       int     `json:"state"`
			Transaction *string `json:"transaction_id"`
		}
		if err := json.Unmarshal([]byte(node), &v); err != nil {
			return "", nil, fmt.Errorf("reading the invoices of order %s: %w", order, err)
		}
		const paid = 2
		if v.State == paid && v.Transaction != nil && *v.Transaction != "" {
			online = append(online, v.ID)
		}
	}
	switch {
	case len(online) == 0:
		return "/V1/order/" + order + "/refund", nil, nil
	case len(online) == 1 && len(nodes) == 1:
		return "/V1/invoice/" + strconv.FormatInt(online[0], 10) + "/refund", nil, nil
	}
	return "", refuse(codeInvoices, "the order was paid by %d invoices: make the credit memo in the shop's admin", len(nodes)), nil
}
