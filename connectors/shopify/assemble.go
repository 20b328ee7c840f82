package shopify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// gid is a global id of the Admin API; an id that is one already is left alone.
func gid(kind, id string) string {
	if strings.HasPrefix(id, "gid://") {
		return id
	}
	return "gid://shopify/" + kind + "/" + id
}

// number is the last part of a global id.
func number(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// part is a connection inside a node that has more than the page that came along.
type part struct {
	doc    *document
	member string
	owner  string // global id of what it belongs to
	cursor string
}

// maxTries bounds how often one order is begun again because it changed while being read.
const maxTries = 4

// partPage is how many lines are asked for at once when only lines are asked for.
const partPage = 100

// wholeOrder fetches what of an order did not fit: a wholesale order has a thousand lines
// and more. All parts are of one state of the order: when it changes in between, it is read
// again from the start.
func (c *client) wholeOrder(ctx context.Context, node string) ([]byte, error) {
	for range maxTries {
		body, changed, err := c.complete(ctx, "order", node, orderParts)
		if err != nil || !changed {
			return body, err
		}
		a, err := c.read(ctx, &docOrder, map[string]any{"id": ownerID(node), "nested": c.cfg.NestedPageSize}, connectors.Normal)
		if err != nil {
			return nil, err
		}
		if node = member(a.data, "order"); node == "" || node == "null" {
			return nil, nil // deleted
		}
	}
	return nil, errors.New("the order changes faster than it can be read: it is read again by the next poll")
}

// wholeProduct fetches the variants that did not fit. A product that changes in between
// comes again with the next poll, whole.
func (c *client) wholeProduct(ctx context.Context, node string) ([]byte, error) {
	body, _, err := c.complete(ctx, "product", node, productParts)
	return body, err
}

// complete wraps a node as {name: node, "pages": [more nodes]}, every node as it came.
func (c *client) complete(ctx context.Context, name, node string, parts func(*reader) []part) (body []byte, changed bool, err error) {
	r := newReaderString(node)
	open := parts(r)
	b := make([]byte, 0, len(node)+len(name)+16)
	b = append(b, `{"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	b = append(b, node...)
	if r.Err() != nil || len(open) == 0 {
		// A node that cannot be read is emitted as it is; the translator refuses it.
		return append(b, '}'), false, nil
	}
	_, updated := head(node)
	b = append(b, `,"pages":[`...)
	for i, p := range open {
		for first := c.fitting(p.doc, partPage); p.cursor != ""; {
			a, err := c.read(ctx, p.doc, map[string]any{"id": p.owner, "first": first, "after": p.cursor}, connectors.Normal)
			if c.tooLarge(p.doc, &first, err) {
				continue
			}
			if err != nil {
				return nil, false, fmt.Errorf("reading more %s: %w", p.member, err)
			}
			more := member(a.data, "node")
			page, err := readPage(more, p.member)
			if err != nil {
				if more == "null" {
					return nil, true, nil
				}
				return nil, false, fmt.Errorf("reading more %s: %w", p.member, err)
			}
			_, at := head(more)
			if owner := member(more, "order"); owner != "" {
				_, at = head(owner)
			}
			if !at.Equal(updated) {
				return nil, true, nil
			}
			if b[len(b)-1] != '[' {
				b = append(b, ',')
			}
			b = append(b, more...)
			if p.cursor = ""; page.next {
				p.cursor = page.cursor
			}
		}
		open[i] = p
	}
	return append(b, "]}"...), false, nil
}

// member is one member of an object, as it stands in the document; "" when it is not there.
func member(doc, name string) string {
	r := newReaderString(doc)
	if r.Object() {
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			if key == name {
				return r.Raw()
			}
			r.Skip()
		}
	}
	return ""
}

// ownerID is a node's global id as it was written.
func ownerID(node string) string {
	r := newReaderString(member(node, "id"))
	return r.Text()
}

func orderParts(r *reader) (open []part) {
	var id string
	if !r.Object() {
		return nil
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			id = r.Text()
		case "lineItems":
			open = r.connection(open, part{doc: &docOrderLines, member: "lineItems"})
		case "fulfillments":
			open = r.partsOf(open, part{doc: &docFulfilmentLines, member: "fulfillmentLineItems"})
		case "refunds":
			open = r.partsOf(open, part{doc: &docRefundLines, member: "refundLineItems"})
		default:
			r.Skip()
		}
	}
	for i := range open {
		if open[i].owner == "" {
			open[i].owner = id
		}
	}
	return open
}

func productParts(r *reader) (open []part) {
	var id string
	if !r.Object() {
		return nil
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			id = r.Text()
		case "variants":
			open = r.connection(open, part{doc: &docVariants, member: "variants"})
		default:
			r.Skip()
		}
	}
	for i := range open {
		open[i].owner = id
	}
	return open
}

// connection appends p when the connection being read has another page.
func (r *reader) connection(open []part, p part) []part {
	if !r.Object() {
		return open
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key != "pageInfo" {
			r.Skip()
			continue
		}
		if next, cursor := r.pageInfo(); next {
			p.cursor = cursor
			open = append(open, p)
		}
	}
	return open
}

// partsOf does so for each object of a list, which own their parts themselves.
func (r *reader) partsOf(open []part, p part) []part {
	for ok := r.Array(); ok && r.More(); {
		from := len(open)
		var id string
		if !r.Object() {
			continue
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "id":
				id = r.Text()
			case p.member:
				open = r.connection(open, p)
			default:
				r.Skip()
			}
		}
		for i := range open[from:] {
			open[from+i].owner = id
		}
	}
	return open
}
