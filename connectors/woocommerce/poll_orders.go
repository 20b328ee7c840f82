package woocommerce

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

type orderPoller struct{ *client }

// Poll emits orders that changed, oldest change first, each followed by its refunds when it
// has any: an order tells of a refund the id and the sum, and its lines are a resource of
// their own. A refund changes its order's date_modified, so that none is missed. Then come
// orders that were put into the trash, which "any" does not include and which hold stock
// until somebody hears of it.
func (p *orderPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	objects := 0
	take := func(ctx context.Context, nodes []node) error {
		for _, n := range nodes {
			// The key of a record may not be empty, and an order without an id cannot be kept
			// apart from others: it is named for what it is, and refused by the translator.
			object := n.id
			if object == "" {
				object = "unknown"
			}
			raws := []connectors.Raw{{Subject: connectors.Orders, Object: object, Body: []byte(n.text), Format: formatOrder, SourceTime: n.updated}}
			if currency := refundedIn(n.text); currency != "" && n.id != "" {
				body, err := p.refunds(ctx, n.id, currency)
				if err != nil {
					return fmt.Errorf("refunds of order %s: %w", n.id, err)
				}
				raws = append(raws, connectors.Raw{Subject: connectors.Orders, Object: object, Body: body, Format: formatRefunds, SourceTime: n.updated})
			}
			for _, raw := range raws {
				if err := emit(raw); err != nil {
					return err
				}
				objects++
			}
		}
		return nil
	}
	res, err = p.sweep(ctx, req, []lane{
		{path: "orders", query: url.Values{"status": {"any"}}, take: take},
		{path: "orders", query: url.Values{"status": {"trash"}}, take: take},
	})
	res.Objects = objects
	return res, err
}

// refunds reads all refunds of an order and wraps them with what they do not say themselves:
// whose they are and in which currency.
func (c *client) refunds(ctx context.Context, order, currency string) ([]byte, error) {
	texts, err := c.all(ctx, "orders/"+order+"/refunds", url.Values{"orderby": {"id"}, "order": {"asc"}}, connectors.Normal)
	if err != nil {
		return nil, err
	}
	b := []byte(`{"order_id":` + order + `,"currency":` + strconv.Quote(currency) + `,"refunds":[`)
	for i, text := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, text...)
	}
	return append(b, "]}"...), nil
}

// maxInner bounds the pages of a list within an object.
const maxInner = 100

// all reads a short list to its end.
func (c *client) all(ctx context.Context, path string, query url.Values, priority connectors.Priority) ([]string, error) {
	var texts []string
	seen := map[string]bool{}
	for page := 1; page <= maxInner; page++ {
		q := url.Values{"per_page": {strconv.Itoa(maxPage)}}
		for name, values := range query {
			q[name] = values
		}
		if page > 1 {
			q.Set("page", strconv.Itoa(page))
		}
		a, err := c.read(ctx, path, q, priority)
		if err != nil {
			return nil, err
		}
		nodes, err := a.nodes()
		if err != nil {
			return nil, err
		}
		for _, text := range nodes {
			if id := head(text).id; !seen[id] {
				seen[id] = true
				texts = append(texts, text)
			}
		}
		if len(nodes) == 0 || a.pages <= page && (a.pages > 0 || len(nodes) < maxPage) {
			return texts, nil
		}
	}
	return nil, fmt.Errorf("%w: %s has more than %d entries", connectors.ErrPermanent, path, maxInner*maxPage)
}

// refundedIn is the currency of an order that has refunds; "" when it has none, or cannot be
// read.
func refundedIn(text string) (currency string) {
	r := jsonread.NewString(text)
	if r.Peek() != '{' {
		return ""
	}
	found := false
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "currency":
			currency = r.Text()
		case "refunds":
			for ok := r.Array(); ok && r.More(); {
				found = true
				r.Skip()
			}
		default:
			r.Skip()
		}
	}
	if r.Err() != nil || !found {
		return ""
	}
	return currency
}
