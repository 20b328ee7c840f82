package simulator

import (
	"encoding/json"
	"net/http"
)

type comment struct {
	Comment string `json:"comment"`
}

type itemInput struct {
	Item     int64   `json:"order_item_id"`
	Quantity float64 `json:"qty"`
}

// postShip ships. More than is left of a line is not refused: what is left is shipped, as
// Magento was seen to do. Whoever calls has to look first.
func (s *Simulator) postShip(c *call) reply {
	o := s.orderBy[c.id()]
	if o == nil {
		return fail(http.StatusNotFound, "The entity that was requested doesn't exist. Verify the entity and try again.")
	}
	var in struct {
		Items  []itemInput `json:"items"`
		Say    *comment    `json:"comment"` // kept in any case; appendComment is about the mail
		Tracks []struct {
			Number  string `json:"track_number"`
			Title   string `json:"title"`
			Carrier string `json:"carrier_code"`
		} `json:"tracks"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		return fail(http.StatusBadRequest, "Decoding error.")
	}
	left := int64(0)
	for _, it := range o.items {
		left += it.toShip()
	}
	if left == 0 || o.state == "canceled" || o.state == "holded" || o.state == "closed" {
		return fail(http.StatusBadRequest, "Shipment Document Validation Error(s):\nThe order does not allow a shipment to be created.")
	}
	var lines []unitsOf
	for _, l := range in.Items {
		it := o.item(l.Item)
		if it == nil || l.Quantity <= 0 {
			return fail(http.StatusBadRequest, "Shipment Document Validation Error(s):\nThe shipment contains product item that is not part of the original order.")
		}
		if n := min(int64(l.Quantity), it.toShip()); n > 0 {
			lines = append(lines, unitsOf{it, n})
		}
	}
	if len(in.Items) > 0 && len(lines) == 0 {
		return fail(http.StatusBadRequest, "Shipment Document Validation Error(s):\nYou can't create a shipment without products.")
	}
	sh, err := s.ship(o, lines)
	if err != nil {
		return fail(http.StatusBadRequest, "%1", err.Error())
	}
	for _, t := range in.Tracks {
		sh.tracks = append(sh.tracks, Track{t.Carrier, t.Title, t.Number})
	}
	if in.Say != nil {
		sh.comments = append(sh.comments, in.Say.Comment)
	}
	s.stats.Shipments++
	return reply{http.StatusOK, sh.id}
}

func (s *Simulator) postCancel(c *call) reply {
	o := s.orderBy[c.id()]
	if o == nil {
		return fail(http.StatusNotFound, "The entity that was requested doesn't exist. Verify the entity and try again.")
	}
	done := s.cancel(o)
	if done {
		s.stats.Cancellations++
	}
	return reply{http.StatusOK, done}
}

func (s *Simulator) postRefund(c *call) reply {
	o := s.orderBy[c.id()]
	if o == nil {
		return fail(http.StatusNotFound, "The entity that was requested doesn't exist. Verify the entity and try again.")
	}
	return s.refundBy(o, c)
}

// postInvoiceRefund gives money back where it was paid; it needs isOnline for that.
func (s *Simulator) postInvoiceRefund(c *call) reply {
	for _, v := range s.invoices {
		if v.id == c.id() {
			a := s.refundBy(v.order, c)
			var in struct {
				Online bool `json:"isOnline"`
			}
			if json.Unmarshal(c.body, &in) == nil && in.Online && a.status == http.StatusOK {
				s.stats.OnlineRefunds++
			}
			return a
		}
	}
	return fail(http.StatusNotFound, "The entity that was requested doesn't exist. Verify the entity and try again.")
}

// refundBy makes a credit memo as a call describes it. No items are all items.
func (s *Simulator) refundBy(o *order, c *call) reply {
	var in struct {
		Items     []itemInput `json:"items"`
		Say       *comment    `json:"comment"`
		Arguments struct {
			Shipping *json.Number `json:"shipping_amount"`
			Plus     json.Number  `json:"adjustment_positive"`
			Minus    json.Number  `json:"adjustment_negative"`
			Extra    struct {
				Back []int64 `json:"return_to_stock_items"`
			} `json:"extension_attributes"`
		} `json:"arguments"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		return fail(http.StatusBadRequest, "Decoding error.")
	}
	spec := RefundSpec{Plus: in.Arguments.Plus.String(), Minus: in.Arguments.Minus.String()}
	// What is not said of shipping is all of it.
	spec.Shipping = string(s.amount(o.shipping))
	if in.Arguments.Shipping != nil {
		spec.Shipping = in.Arguments.Shipping.String()
	}
	if in.Say != nil {
		spec.Note = in.Say.Comment
	}
	for _, l := range in.Items {
		rl := RefundLineSpec{Line: l.Item, Quantity: int64(l.Quantity)}
		for _, back := range in.Arguments.Extra.Back {
			if back == l.Item {
				rl.Restock = "return"
			}
		}
		spec.Lines = append(spec.Lines, rl)
	}
	if len(in.Items) == 0 {
		for _, it := range o.items {
			if left := it.invoiced - it.refunded; left > 0 && it.parent == nil {
				spec.Lines = append(spec.Lines, RefundLineSpec{Line: it.id, Quantity: left})
			}
		}
	}
	m, err := s.refund(o, spec)
	if err != nil {
		return fail(http.StatusBadRequest, "Creditmemo Document Validation Error(s):\n%1", err.Error())
	}
	s.stats.Refunds++
	return reply{http.StatusOK, m.id}
}
