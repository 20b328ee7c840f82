package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/schemas/money"
)

// maxBatch is the bound on the objects of a batch.
const maxBatch = 100

// updateDoc is what of a product or variation can be written.
type updateDoc struct {
	ID       int64   `json:"id"`
	Manage   *bool   `json:"manage_stock"`
	Quantity *int64  `json:"stock_quantity"`
	Regular  *string `json:"regular_price"`
	Sale     *string `json:"sale_price"`
}

func (s *Simulator) batchProducts(q request, _ []string) (reply, *refusal) {
	return s.batch(q, func(id int64) (*variant, *refusal) {
		if p := s.byID[id]; p != nil && !p.trashed {
			if p.variable {
				// A product with variations has a stock of its own; nothing here asks for it.
				return nil, nil
			}
			return p.variants[0], nil
		}
		if v := s.variants[id]; v != nil && v.product.variable {
			return nil, no(http.StatusNotFound, "woocommerce_rest_invalid_product_id", "To manipulate product variations you should use the /products/<product_id>/variations/<id> endpoint.")
		}
		return nil, no(http.StatusBadRequest, "woocommerce_rest_product_invalid_id", "Invalid ID.")
	}, false)
}

func (s *Simulator) batchVariations(q request, m []string) (reply, *refusal) {
	parent := parse(m[0])
	return s.batch(q, func(id int64) (*variant, *refusal) {
		if v := s.variants[id]; v != nil && v.product.variable && v.product.id == parent {
			return v, nil
		}
		return nil, no(http.StatusBadRequest, "woocommerce_rest_product_variation_invalid_id", "Invalid ID.")
	}, true)
}

// batch updates one by one; what is refused stands in the answer, which is 200 all the same.
func (s *Simulator) batch(q request, find func(id int64) (*variant, *refusal), below bool) (reply, *refusal) {
	var doc struct {
		Update []updateDoc `json:"update"`
	}
	if err := json.Unmarshal(q.body, &doc); err != nil {
		return reply{}, no(http.StatusBadRequest, "rest_invalid_json", "Invalid JSON body passed.")
	}
	if len(doc.Update) > maxBatch {
		return reply{}, no(http.StatusRequestEntityTooLarge, "woocommerce_rest_request_entity_too_large", "Unable to accept more than 100 items for this request.")
	}
	if len(doc.Update) == 0 {
		return document(http.StatusOK, []byte("[]"))
	}
	a := reply{status: http.StatusOK, pages: -1, wrote: true}
	b := []byte(`{"update":[`)
	for i, u := range doc.Update {
		if i > 0 {
			b = append(b, ',')
		}
		v, refused := find(u.ID)
		if refused == nil && s.hit(s.faults.Refuse) {
			refused = no(http.StatusInternalServerError, "db_update_error", "Could not update the product.")
		}
		switch {
		case refused != nil:
			s.stats.PushesRefused++
			b = append(b, php(map[string]any{"id": u.ID, "error": map[string]any{"code": refused.code, "message": refused.message, "data": map[string]int{"status": refused.status}}})...)
		case v == nil:
			b = append(b, s.productJSON(s.byID[u.ID], nil, false)...)
		default:
			a.mail = s.update(a.mail, v, u)
			if below {
				b = append(b, s.productJSON(v.product, v, false)...)
			} else {
				b = append(b, s.productJSON(v.product, nil, false)...)
			}
		}
	}
	a.body = append(b, "]}"...)
	return a, nil
}

// update writes one variant.
func (s *Simulator) update(mail []*delivery, v *variant, u updateDoc) []*delivery {
	changed := false
	if !s.cfg.NoStockManagement {
		if u.Manage != nil && *u.Manage != v.tracked {
			v.tracked, changed = *u.Manage, true
		}
		if u.Quantity != nil && v.tracked {
			if *u.Quantity != v.available || changed {
				v.available, changed = *u.Quantity, true
				s.stats.PushesAccepted++
				s.written(v, *u.Quantity)
			} else {
				s.stats.PushesRepeated++
			}
		}
	}
	if u.Regular != nil && *u.Regular != v.price.text {
		v.price, changed = price(*u.Regular), true
	}
	if u.Sale != nil && *u.Sale != v.sale {
		v.sale, changed = *u.Sale, true
	}
	if !changed {
		return mail
	}
	v.modified = s.now()
	if !v.product.variable {
		v.product.updated = v.modified
	}
	return s.post(mail, "product.updated", v.id)
}

func (s *Simulator) putOrder(q request, m []string) (reply, *refusal) {
	o := s.orders[parse(m[0])]
	if o == nil {
		return reply{}, no(http.StatusBadRequest, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
	}
	var doc struct {
		Status *string   `json:"status"`
		Meta   []metaDoc `json:"meta_data"`
	}
	if err := json.Unmarshal(q.body, &doc); err != nil {
		return reply{}, no(http.StatusBadRequest, "rest_invalid_json", "Invalid JSON body passed.")
	}
	statuses := []string{"auto-draft", "pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "checkout-draft"}
	if doc.Status != nil && !slices.Contains(statuses, *doc.Status) {
		return reply{}, no(http.StatusBadRequest, "rest_invalid_param", "Invalid parameter(s): status")
	}
	var mail []*delivery
	for _, d := range doc.Meta {
		at := slices.IndexFunc(o.meta, func(have metaDoc) bool { return have.Key == d.Key })
		if at < 0 {
			o.meta = append(o.meta, metaDoc{s.item(), d.Key, d.Value})
		} else {
			o.meta[at].Value = d.Value
		}
	}
	if doc.Status != nil && *doc.Status != o.status {
		mail = s.setStatus(o, *doc.Status)
	}
	s.touch(o)
	a, _ := document(http.StatusOK, s.orderJSON(o))
	a.mail, a.wrote = s.post(mail, "order.updated", o.id), true
	return a, nil
}

// refundWrite is the body of POST orders/<id>/refunds.
type refundWrite struct {
	Amount  string    `json:"amount"`
	Reason  string    `json:"reason"`
	Pay     *bool     `json:"api_refund"`
	Restock *bool     `json:"api_restock"`
	Meta    []metaDoc `json:"meta_data"`
	Lines   []struct {
		ID       int64       `json:"id"`
		Quantity int64       `json:"quantity"`
		Total    json.Number `json:"refund_total"`
		Taxes    []struct {
			ID    int64       `json:"id"`
			Total json.Number `json:"refund_total"`
		} `json:"refund_tax"`
	} `json:"line_items"`
}

func (s *Simulator) postRefund(q request, m []string) (reply, *refusal) {
	o := s.orders[parse(m[0])]
	if o == nil {
		return reply{}, no(http.StatusNotFound, "woocommerce_rest_invalid_order_id", "Invalid order ID.")
	}
	var doc refundWrite
	if err := json.Unmarshal(q.body, &doc); err != nil {
		return reply{}, no(http.StatusBadRequest, "rest_invalid_json", "Invalid JSON body passed.")
	}
	cannot := func(message string) (reply, *refusal) {
		return reply{}, no(http.StatusInternalServerError, "woocommerce_rest_cannot_create_order_refund", message)
	}
	total, err := s.minor(doc.Amount)
	if err != nil || total < 0 || total > o.total()-o.refunded() {
		return cannot("Invalid refund amount.")
	}
	pay := doc.Pay == nil || *doc.Pay
	if pay && s.cfg.ManualRefunds {
		return cannot("The payment gateway for this order does not support automatic refunds.")
	}
	r := &refund{id: s.id(), order: o, at: s.now(), reason: doc.Reason, total: total, paid: pay, meta: doc.Meta}
	restock := map[*line]int64{}
	for _, dl := range doc.Lines {
		minor, err := s.minor(dl.Total.String())
		if err != nil {
			return cannot("Invalid refund line.")
		}
		if dl.ID == o.shippingID {
			r.shipping += minor
			continue
		}
		l := o.line(dl.ID)
		if l == nil || dl.Quantity < 0 || dl.Quantity > l.quantity-l.refundedUnits {
			return cannot("Invalid refund line.")
		}
		rl := refundLine{id: s.item(), line: l, quantity: dl.Quantity, minor: minor}
		for _, t := range dl.Taxes {
			tax, err := money.Parse(provider, s.cfg.Currency, t.Total.String())
			if err != nil {
				return cannot("Invalid refund line.")
			}
			rl.tax += tax
		}
		if doc.Restock == nil || *doc.Restock {
			restock[l] += dl.Quantity
		}
		r.lines = append(r.lines, rl)
	}
	mail := s.refund(o, r, restock)
	s.touch(o)
	a, _ := document(http.StatusCreated, s.refundJSON(r))
	a.mail, a.wrote = s.post(mail, "order.updated", o.id), true
	return a, nil
}

func (s *Simulator) noteJSON(n note) []byte {
	return php(map[string]any{"id": n.id, "author": "system", "date_created_gmt": gmt(n.at), "note": n.text, "customer_note": n.customer})
}

func (s *Simulator) listNotes(q request, m []string) (reply, *refusal) {
	o := s.orders[parse(m[0])]
	if o == nil {
		return reply{}, no(http.StatusNotFound, "woocommerce_rest_order_invalid_id", "Invalid order ID.")
	}
	// Notes come all at once, whatever page is asked for.
	b := []byte{'['}
	for i, n := range o.notes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, s.noteJSON(n)...)
	}
	return document(http.StatusOK, append(b, ']'))
}

func (s *Simulator) postNote(q request, m []string) (reply, *refusal) {
	o := s.orders[parse(m[0])]
	if o == nil {
		return reply{}, no(http.StatusNotFound, "woocommerce_rest_order_invalid_id", "Invalid order ID.")
	}
	var doc struct {
		Note     string `json:"note"`
		Customer bool   `json:"customer_note"`
	}
	if err := json.Unmarshal(q.body, &doc); err != nil || doc.Note == "" {
		return reply{}, no(http.StatusBadRequest, "rest_missing_callback_param", "Missing parameter(s): note")
	}
	n := note{s.item(), doc.Note, doc.Customer, s.now()}
	o.notes = append(o.notes, n)
	a, _ := document(http.StatusCreated, s.noteJSON(n))
	a.wrote = true
	return a, nil
}

// Notes is what was written to an order, oldest first; those for the customer begin with "*".
func (s *Simulator) Notes(id int64) (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.orders[id]; o != nil {
		for _, n := range o.notes {
			mark := ""
			if n.customer {
				mark = "*"
			}
			texts = append(texts, mark+n.text)
		}
	}
	return texts
}

type webhookDoc struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Status   string `json:"status"`
	Topic    string `json:"topic"`
	Resource string `json:"resource"`
	Event    string `json:"event"`
	URL      string `json:"delivery_url"`
}

func (s *Simulator) webhookJSON(sub *subscription) []byte {
	resource, event, _ := strings.Cut(sub.topic, ".")
	return php(webhookDoc{sub.id, sub.name, sub.status, sub.topic, resource, event, sub.address})
}

func (s *Simulator) listWebhooks(q request, _ []string) (reply, *refusal) {
	return list(q, s.subs, s.webhookJSON)
}

// webhookWrite is the body of a webhook's creation and change.
type webhookWrite struct {
	Name   *string `json:"name"`
	Topic  *string `json:"topic"`
	URL    *string `json:"delivery_url"`
	Secret *string `json:"secret"`
	Status *string `json:"status"`
}

func (s *Simulator) postWebhook(q request, _ []string) (reply, *refusal) {
	var doc webhookWrite
	if err := json.Unmarshal(q.body, &doc); err != nil || doc.Topic == nil || doc.URL == nil || !strings.HasPrefix(*doc.URL, "http") {
		return reply{}, no(http.StatusBadRequest, "woocommerce_rest_shop_webhook_invalid_delivery_url", "Webhook delivery URL must be a valid URL starting with http:// or https://.")
	}
	sub := s.subscribe(*doc.Topic, *doc.URL)
	sub.change(doc)
	a, _ := document(http.StatusCreated, s.webhookJSON(sub))
	a.wrote = true
	a.mail = s.ping(sub)
	return a, nil
}

func (s *Simulator) putWebhook(q request, m []string) (reply, *refusal) {
	id := parse(m[0])
	at := slices.IndexFunc(s.subs, func(sub *subscription) bool { return sub.id == id })
	var doc webhookWrite
	if at < 0 || json.Unmarshal(q.body, &doc) != nil {
		return reply{}, no(http.StatusBadRequest, "woocommerce_rest_shop_webhook_invalid_id", "Invalid ID "+strconv.FormatInt(id, 10)+".")
	}
	s.subs[at].change(doc)
	a, _ := document(http.StatusOK, s.webhookJSON(s.subs[at]))
	a.wrote = true
	return a, nil
}

func (sub *subscription) change(doc webhookWrite) {
	set := func(to *string, v *string) {
		if v != nil {
			*to = *v
		}
	}
	set(&sub.name, doc.Name)
	set(&sub.topic, doc.Topic)
	set(&sub.address, doc.URL)
	set(&sub.secret, doc.Secret)
	set(&sub.status, doc.Status)
}
