package shopify

import (
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// What an order was paid with, and how much of each payment is left to give back.

type amountOf struct {
	Amount   string `json:"amount"`
	Currency string `json:"currencyCode"`
}

type moneyBag struct {
	Shop  amountOf `json:"shopMoney"`
	Buyer amountOf `json:"presentmentMoney"`
}

// in is the amount in minor units of one of its two currencies.
func (b moneyBag) in(currency string) (int64, error) {
	for _, a := range []amountOf{b.Buyer, b.Shop} {
		if a.Currency == currency {
			return money.Parse(provider, currency, a.Amount)
		}
	}
	return 0, fmt.Errorf("no amount in %s", currency)
}

type givenBack struct {
	ID    string   `json:"id"`
	Note  string   `json:"note"`
	Total moneyBag `json:"totalRefundedSet"`
}

type payment struct {
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	Status  string   `json:"status"`
	Gateway string   `json:"gateway"`
	Amount  moneyBag `json:"amountSet"`
	Parent  *struct {
		ID string `json:"id"`
	} `json:"parentTransaction"`
}

// paidOrder is what of an order decides a refund.
type paidOrder struct {
	ID       string      `json:"id"`
	Currency string      `json:"currencyCode"`
	Buyer    string      `json:"presentmentCurrencyCode"`
	Refunds  []givenBack `json:"refunds"`
	Payments []payment   `json:"transactions"`
}

// made is the refund that carries the command's mark; nil when there is none.
func (o *paidOrder) made(commandID string) *givenBack {
	for i := range o.Refunds {
		if strings.Contains(o.Refunds[i].Note, marker(commandID)) {
			return &o.Refunds[i]
		}
	}
	return nil
}

// split spreads the amount over the payments that have something left.
func (o *paidOrder) split(w connectors.RefundWrite) (parts []refundPayment, bad *connectors.Result) {
	no := func(code, format string, args ...any) ([]refundPayment, *connectors.Result) {
		r := refused(code, format, args...)
		return nil, &r
	}
	left, err := o.refundable()
	if err != nil {
		return no(codeAmount, "%v", err)
	}
	rest := w.Amount.GetMinor()
	named := w.PaymentID == ""
	for i, t := range o.Payments {
		if w.PaymentID != "" && number(t.ID) != number(w.PaymentID) {
			continue
		}
		named = named || t.sale()
		part := min(rest, left[i])
		if part <= 0 {
			continue
		}
		text, err := money.Format(provider, &event.Money{Minor: part, Currency: o.Buyer})
		if err != nil {
			return no(codeAmount, "%v", err)
		}
		parts = append(parts, refundPayment{Order: o.ID, Parent: t.ID, Gateway: t.Gateway, Kind: "REFUND", Amount: text})
		rest -= part
	}
	switch {
	case !named:
		return no(codeNoPayment, "payment %q is none of this order", w.PaymentID)
	case rest > 0:
		return no(codeMoreThanPaid, "%d more than is left to give back (in minor units of %s)", rest, o.Buyer)
	}
	return parts, nil
}

// sale says whether a transaction brought money in.
func (t payment) sale() bool {
	return (t.Kind == "SALE" || t.Kind == "CAPTURE") && t.Status == "SUCCESS"
}

// refundable is what is left of each payment, in minor units of the buyer's currency. What was
// begun to be given back counts as given, until it has failed.
func (o *paidOrder) refundable() ([]int64, error) {
	left := make([]int64, len(o.Payments))
	at := map[string]int{}
	for i, t := range o.Payments {
		if t.sale() {
			minor, err := t.Amount.in(o.Buyer)
			if err != nil {
				return nil, fmt.Errorf("payment %s: %w", number(t.ID), err)
			}
			left[i], at[t.ID] = minor, i
		}
	}
	for _, t := range o.Payments {
		if t.Parent == nil || t.Kind != "REFUND" && t.Kind != "CHANGE" || t.Status == "FAILURE" || t.Status == "ERROR" {
			continue
		}
		if i, ok := at[t.Parent.ID]; ok {
			minor, err := t.Amount.in(o.Buyer)
			if err != nil {
				return nil, fmt.Errorf("refund %s: %w", number(t.ID), err)
			}
			left[i] -= minor
		}
	}
	return left, nil
}
