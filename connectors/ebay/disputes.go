package ebay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// A payment dispute is opened at the buyer's bank, and does not change the order: nobody who
// polls orders hears of it. Disputes are therefore listed beside them. eBay shows those that
// are open and those that were closed lately; the orders of those that were opened or closed
// since the last poll are read again.
// https://developer.ebay.com/api-docs/sell/fulfillment/resources/payment_dispute/methods/getPaymentDisputeSummaries

// disputed is what is known of one order's disputes.
type disputed struct {
	list    string    // "[…]": summaries as they stand in the answer
	changed time.Time // the newest opening or closing
}

// maxDisputePages bounds the list; a page has 200 disputes.
const maxDisputePages = 50

// disputes lists them by order. Without the scope for it there are none: orders go on, and
// `crossdock check` says what is missing.
func (p *orderPoller) disputes(ctx context.Context) (map[string]disputed, []string, error) {
	found := map[string]disputed{}
	var ids []string
	for page, more := 0, true; more; page++ {
		if page == maxDisputePages {
			return nil, nil, fmt.Errorf("there are more than %d disputes", maxDisputePages*maxPage)
		}
		a, err := p.read(ctx, request{endpoint: callDisputes, priority: connectors.Normal,
			query: url.Values{"limit": {strconv.Itoa(maxPage)}, "offset": {strconv.Itoa(page * maxPage)}}})
		if errors.Is(err, errScope) {
			if !p.told.Swap(true) {
				p.deps.Log.Warn("payment disputes are not read: the consent lacks the scope sell.payment.dispute", "account", p.deps.Account)
			}
			return nil, nil, nil
		}
		if err != nil {
			return nil, nil, err
		}
		nodes, total, _, err := readList(a.body, "paymentDisputeSummaries", disputeHead)
		if err != nil {
			return nil, nil, err
		}
		for _, n := range nodes {
			d, known := found[n.id]
			if !known {
				ids = append(ids, n.id)
				d.list = "[" + n.text + "]"
			} else {
				d.list = d.list[:len(d.list)-1] + "," + n.text + "]"
			}
			if n.updated.After(d.changed) {
				d.changed = n.updated
			}
			found[n.id] = d
		}
		more = len(nodes) > 0 && int64((page+1)*maxPage) < total
	}
	return found, ids, nil
}

// disputeHead reads whose dispute it is, and when it was opened or closed.
func disputeHead(text string) node {
	n := node{text: text}
	r := jsonread.NewString(text)
	if r.Object() {
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "orderId":
				n.id = r.Text()
			case "openDate", "closedDate":
				if ms := r.Instant(); ms != 0 {
					if at := time.UnixMilli(ms).UTC(); at.After(n.updated) {
						n.updated = at
					}
				}
			default:
				r.Skip()
			}
		}
	}
	return n
}

// emitDisputed emits the orders whose disputes were opened or closed since a time.
func (p *orderPoller) emitDisputed(ctx context.Context, ids []string, since time.Time, emit func(connectors.Raw) error) (n int, err error) {
	for _, id := range ids {
		if id == "" || p.open[id].changed.Before(since) {
			continue
		}
		a, err := p.read(ctx, request{endpoint: callOrder, ids: []string{id}, query: url.Values{"fieldGroups": {"TAX_BREAKDOWN"}}, priority: connectors.Normal})
		if missing(err) {
			continue // eBay shows orders for two years
		}
		if err != nil {
			return n, fmt.Errorf("reading the disputed order %s: %w", id, err)
		}
		raw, err := p.whole(ctx, orderHead(string(a.body)))
		if err != nil {
			return n, fmt.Errorf("reading the disputed order %s: %w", id, err)
		}
		if err := emit(raw); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
