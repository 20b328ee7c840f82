package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// moneyBack is a refund of one item.
type moneyBack struct {
	id, item, own string
	by            amounts
	at            time.Time
}

func (s *Simulator) giveBack(o *order, l *line, by amounts, own string) {
	if by.sum() <= 0 {
		return
	}
	s.stats.Refunds++
	o.refunds = append(o.refunds, moneyBack{id: fmt.Sprintf("refund-%d", s.stats.Refunds), item: l.id, own: own, by: by, at: s.cfg.Now()})
}

// RefundByHand gives back for a line's goods in Seller Central: minor units, at most what is left.
func (s *Simulator) RefundByHand(id, lineID string, minor int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[id]
	if o == nil || o.line(lineID) == nil {
		return fmt.Errorf("refunding order %s: it has no line %s", id, lineID)
	}
	l := o.line(lineID)
	if l.fulfilled == 0 || minor < 1 || minor > l.left(o)["Principal"] {
		return fmt.Errorf("refunding order %s: %d cannot be given back", id, minor)
	}
	s.giveBack(o, l, amounts{"Principal": minor}, "")
	return nil
}

// listTransactions tells an order's transactions, FinanceDelay late. The first page is empty, and
// then there is one on each.
func (s *Simulator) listTransactions(q url.Values) reply {
	o := s.orders[q.Get("relatedIdentifierValue")]
	if q.Get("relatedIdentifierName") != "ORDER_ID" {
		return refusal(http.StatusBadRequest, "InvalidInput", "the simulator lists the transactions of an order")
	}
	var all []object
	if o != nil {
		now := s.cfg.Now()
		currency := func(minor int64) object {
			return object{"currencyAmount": json.Number(s.amount(minor)["amount"].(string)), "currencyCode": s.cfg.Currency}
		}
		for _, r := range o.refunds {
			if r.at.Add(s.cfg.FinanceDelay).After(now) {
				continue
			}
			parts := []object{}
			for _, kind := range []string{"Principal", "Tax", "Shipping"} {
				if v := r.by[kind]; v != 0 {
					name := map[string]string{"Principal": "ProductCharges", "Tax": "Tax", "Shipping": "ShippingCharges"}[kind]
					parts = append(parts, object{"breakdownType": name, "breakdownAmount": currency(-v), "breakdowns": []object{}})
				}
			}
			all = append(all, object{
				"transactionType": "Refund", "transactionId": r.id, "transactionStatus": "RELEASED", "description": "Refund Order", "postedDate": stamp(r.at.Unix()),
				"relatedIdentifiers": []object{{"relatedIdentifierName": "ORDER_ID", "relatedIdentifierValue": o.id}},
				"totalAmount":        currency(-r.by.sum()),
				"items":              []object{{"description": "item", "totalAmount": currency(-r.by.sum()), "breakdowns": []object{{"breakdownType": "Expenses", "breakdownAmount": currency(-r.by.sum()), "breakdowns": parts}}}},
			})
		}
	}
	at, _ := strconv.Atoi(q.Get("nextToken"))
	payload := object{"transactions": []object{}}
	if at > 0 && at <= len(all) {
		payload["transactions"] = []object{all[at-1]}
	}
	if at < len(all) {
		payload["nextToken"] = strconv.Itoa(at + 1)
	}
	return reply{code: http.StatusOK, body: object{"payload": payload}}
}
