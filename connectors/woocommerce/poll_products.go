package woocommerce

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

type productPoller struct{ *client }

// Poll emits products that changed, each with all of its variations. A variation that changes
// does not change its product: from WooCommerce 10.3 on the variations of all products are a
// list of their own, and whoever changed there has its product emitted, too. Before 10.3 such
// a change is seen when the product itself changes, and its stock by the poll of stock. Last
// come products that were put into the trash.
func (p *productPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	objects := 0
	emitted := map[string]bool{}
	take := func(ctx context.Context, nodes []node) error {
		for _, n := range nodes {
			raw, err := p.whole(ctx, n)
			if err != nil {
				return err
			}
			if raw == nil {
				continue
			}
			if err := emit(*raw); err != nil {
				return err
			}
			objects++
			emitted[n.id] = true
		}
		return nil
	}
	res, err = p.sweep(ctx, req, []lane{
		{path: "products", query: url.Values{"status": {"any"}}, take: take},
		{path: "variations", optional: true, take: func(ctx context.Context, nodes []node) error {
			parents, err := p.parents(ctx, nodes, emitted)
			if err != nil {
				return err
			}
			return take(ctx, parents)
		}},
		{path: "products", query: url.Values{"status": {"trash"}}, take: take},
	})
	res.Objects = objects
	return res, err
}

// parents reads the products of variations. One that was emitted in this poll is left out: it
// was read with all of its variations after the window's end.
func (p *productPoller) parents(ctx context.Context, nodes []node, emitted map[string]bool) ([]node, error) {
	var ids []string
	for _, n := range nodes {
		if id := shapeOf(n.text).parent; id != "" && id != "0" && !emitted[id] && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	texts, err := p.all(ctx, "products", url.Values{"include": {strings.Join(ids, ",")}, "orderby": {"id"}, "order": {"asc"}, "status": {"any"}}, connectors.Normal)
	if err != nil {
		return nil, err
	}
	var parents []node
	for _, text := range texts {
		parents = append(parents, head(text))
	}
	return parents, nil
}

// whole is the record of a product: as it stands, or in an envelope with its variations. It is
// nil for a product that has gone meanwhile.
func (p *productPoller) whole(ctx context.Context, n node) (*connectors.Raw, error) {
	raw := &connectors.Raw{Subject: connectors.Products, Object: n.id, Body: []byte(n.text), Format: formatProduct, SourceTime: n.updated}
	if n.id == "" {
		raw.Object = "unknown"
		return raw, nil
	}
	s := shapeOf(n.text)
	if !s.hasVariations || s.trashed {
		return raw, nil
	}
	texts, err := p.variationsOf(ctx, n.id, nil, connectors.Normal)
	if isCode(err, codeInvalidProduct) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("variations of product %s: %w", n.id, err)
	}
	raw.Format = formatProductWhole
	raw.Body = []byte(`{"product":` + n.text + `,"variations":[` + strings.Join(texts, ",") + "]}")
	return raw, nil
}

// codeInvalidProduct: there is no such product.
const codeInvalidProduct = "woocommerce_rest_product_invalid_id"

func (c *client) variationsOf(ctx context.Context, product string, only []string, priority connectors.Priority) ([]string, error) {
	q := url.Values{"orderby": {"id"}, "order": {"asc"}, "status": {"any"}}
	if only != nil {
		q.Set("include", strings.Join(only, ","))
	}
	return c.all(ctx, "products/"+product+"/variations", q, priority)
}

// shape is what decides how an object is read on.
type shape struct {
	kind, parent           string
	hasVariations, trashed bool
}

func shapeOf(text string) (s shape) {
	r := jsonread.NewString(text)
	if r.Peek() != '{' {
		return s
	}
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "type":
			s.kind = r.Text()
		case "parent_id":
			s.parent = r.ID()
		case "status":
			s.trashed = r.Text() == statusTrash
		case "variations":
			for ok := r.Array(); ok && r.More(); {
				s.hasVariations = true
				r.Skip()
			}
		default:
			r.Skip()
		}
	}
	return s
}

type stockPoller struct{ *client }

// Poll emits what each product and variation shows. A sale changes a quantity without a
// change of date_modified that could be relied upon, so that all of it is read each time, by
// ids, which do not move; only what was deleted meanwhile makes pages shift, and what is
// stepped over then comes with the next poll.
func (p *stockPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	state, err := readCursor(req)
	if err != nil {
		return res, err
	}
	send := func(n node) error {
		s := shapeOf(n.text)
		id := n.id
		if s.parent != "" && s.parent != "0" {
			id = stockID(s.parent, n.id)
		}
		if id == "" {
			id = "unknown"
		}
		if err := emit(connectors.Raw{Subject: connectors.Inventory, Object: id, Body: []byte(n.text), Format: formatStock, SourceTime: n.updated}); err != nil {
			return err
		}
		res.Objects++
		return nil
	}
	lists := []string{"products", "variations"}
	for ; state.Lane < len(lists); state.Lane, state.Page = state.Lane+1, 0 {
		for page := max(1, state.Page); ; page++ {
			q := url.Values{"orderby": {"id"}, "order": {"asc"}, "per_page": {strconv.Itoa(maxPage)}, "page": {strconv.Itoa(page)}, "status": {"any"}}
			q.Set("_fields", "id,parent_id,type,variations,manage_stock,stock_quantity,date_modified_gmt")
			a, err := p.read(ctx, lists[state.Lane], q, connectors.Normal)
			if state.Lane == 1 && isCode(err, codeNoRoute) {
				break
			}
			if err != nil {
				return res, fmt.Errorf("polling stock: %w", err)
			}
			if state.Bound.IsZero() && !a.date.IsZero() {
				state.Bound = a.date.Add(-req.Settle)
			}
			texts, err := a.nodes()
			if err != nil {
				return res, fmt.Errorf("polling stock: %w", err)
			}
			res.Pages++
			for _, text := range texts {
				if err := p.shown(ctx, head(text), send); err != nil {
					return res, err
				}
			}
			if len(texts) == 0 || a.pages <= page && (a.pages > 0 || len(texts) < maxPage) {
				break
			}
			if res.Pages >= p.cfg.MaxPages {
				state.Page = page + 1
				return state.result(res), nil
			}
		}
	}
	return state.finished(state.Until).result(res), nil
}

// shown emits what a product shows, and on shops before 10.3 what its variations show.
func (p *stockPoller) shown(ctx context.Context, n node, send func(node) error) error {
	s := shapeOf(n.text)
	if !s.hasVariations {
		return send(n)
	}
	whole, err := p.listsVariations(ctx)
	if err != nil || whole {
		return err
	}
	texts, err := p.variationsOf(ctx, n.id, nil, connectors.Normal)
	if isCode(err, codeInvalidProduct) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("polling stock of product %s: %w", n.id, err)
	}
	for _, text := range texts {
		if shapeOf(text).parent == "" {
			// Older shops do not repeat whose variation it is.
			text = `{"parent_id":` + n.id + "," + strings.TrimSpace(text)[1:]
		}
		if err := send(head(text)); err != nil {
			return err
		}
	}
	return nil
}

// listsVariations asks once whether the shop lists all variations.
func (c *client) listsVariations(ctx context.Context) (bool, error) {
	const yes, no = 1, 2
	switch c.variations.Load() {
	case yes:
		return true, nil
	case no:
		return false, nil
	}
	_, err := c.read(ctx, "variations", url.Values{"per_page": {"1"}, "_fields": {"id"}}, connectors.Normal)
	var api *apiError
	switch {
	case err == nil:
		c.variations.Store(yes)
	case errors.As(err, &api) && api.code == codeNoRoute:
		c.variations.Store(no)
		return false, nil
	}
	return err == nil, err
}
