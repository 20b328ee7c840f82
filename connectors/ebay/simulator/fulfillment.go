package simulator

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

var modified = regexp.MustCompile(`^lastmodifieddate:\[([^.\]]+\.\d{3}Z)\.\.([^\]]*)\]$`)

// getOrders filters, and shows one page. There is no order of results: they come as the seed
// has it, the same for the same account.
func (s *Simulator) getOrders(r *http.Request, _ []byte) reply {
	q := r.URL.Query()
	limit, offset, bad := paging(q, 50)
	if bad {
		return problem(http.StatusBadRequest, 31100, "REQUEST", "Invalid limit")
	}
	now := s.now()
	from, to := now.Add(-90*24*time.Hour), now
	if filter := q.Get("filter"); filter != "" {
		m := modified.FindStringSubmatch(filter)
		if m == nil {
			return problem(http.StatusBadRequest, 30700, "REQUEST", "Invalid filter name: "+filter)
		}
		var err error
		if from, err = time.Parse("2006-01-02T15:04:05.000Z", m[1]); err != nil {
			return problem(http.StatusBadRequest, 30810, "REQUEST", "Invalid date format")
		}
		if m[2] != "" {
			if to, err = time.Parse("2006-01-02T15:04:05.000Z", m[2]); err != nil {
				return problem(http.StatusBadRequest, 30810, "REQUEST", "Invalid date format")
			}
		}
		switch {
		case from.After(now) || to.After(now):
			return problem(http.StatusBadRequest, 30850, "REQUEST", "Start and end dates can't be in the future")
		case to.Before(from):
			return problem(http.StatusBadRequest, 30840, "REQUEST", "Start date should be before end date")
		case to.Sub(from) > 731*24*time.Hour:
			return problem(http.StatusBadRequest, 30830, "REQUEST", "Time range between start date and end date must be within '2' years.")
		}
	}
	breakdown := q.Get("fieldGroups") == "TAX_BREAKDOWN"
	total, page := 0, []object{}
	for _, o := range s.inOrder {
		if !o.paid || o.updated.Before(from) || o.updated.After(to) {
			continue
		}
		if total++; total > offset && len(page) < limit {
			page = append(page, s.orderJSON(o, false, breakdown))
		}
	}
	out := object{"href": "https://api.ebay.com" + r.URL.RequestURI(), "total": total, "limit": limit, "offset": offset, "orders": page}
	if offset+len(page) < total {
		q.Set("offset", strconv.Itoa(offset+limit))
		out["next"] = "https://api.ebay.com/sell/fulfillment/v1/order?" + q.Encode()
	}
	return reply{body: out}
}

func paging(q url.Values, limit int) (int, int, bool) {
	offset := 0
	var err, err2 error
	if text := q.Get("limit"); text != "" {
		limit, err = strconv.Atoi(text)
	}
	if text := q.Get("offset"); text != "" {
		offset, err2 = strconv.Atoi(text)
	}
	return limit, offset, err != nil || err2 != nil || limit < 1 || limit > 200 || offset < 0
}

func (s *Simulator) getOrder(r *http.Request, _ []byte) reply {
	o := s.orders[r.PathValue("id")]
	if o == nil || !o.paid {
		return problem(http.StatusNotFound, 32100, "REQUEST", "Invalid Order Id")
	}
	return reply{body: s.orderJSON(o, true, r.URL.Query().Get("fieldGroups") == "TAX_BREAKDOWN")}
}

func (s *Simulator) getShipments(r *http.Request, _ []byte) reply {
	o := s.orders[r.PathValue("id")]
	if o == nil {
		return problem(http.StatusBadRequest, 32100, "REQUEST", "Invalid Order Id")
	}
	return reply{body: o.shipmentsJSON()}
}

// getDisputes is what is open, and what was closed in the last 30 days.
func (s *Simulator) getDisputes(r *http.Request, _ []byte) reply {
	limit, offset, bad := paging(r.URL.Query(), 200)
	if bad {
		return problem(http.StatusBadRequest, 33004, "REQUEST", "Invalid limit or offset")
	}
	all := []object{}
	for _, o := range s.inOrder {
		for _, d := range o.disputes {
			one := object{"paymentDisputeId": d.id, "orderId": o.id, "openDate": stamp(d.opened), "reason": d.reason, "paymentDisputeStatus": "OPEN", "buyerUsername": "buyer", "amount": s.amount(o.total())}
			if !d.closed.IsZero() {
				if s.now().Sub(d.closed) > 30*24*time.Hour {
					continue
				}
				one["paymentDisputeStatus"], one["closedDate"] = "CLOSED", stamp(d.closed)
			}
			all = append(all, one)
		}
	}
	total := len(all)
	all = all[min(offset, total):]
	return reply{body: object{"href": r.URL.RequestURI(), "total": total, "limit": limit, "offset": offset, "paymentDisputeSummaries": all[:min(limit, len(all))]}}
}

func (s *Simulator) postShipment(r *http.Request, body []byte) reply {
	o := s.orders[r.PathValue("id")]
	var in struct {
		Lines []struct {
			ID       string `json:"lineItemId"`
			Quantity int64  `json:"quantity"`
		} `json:"lineItems"`
		Shipped  string `json:"shippedDate"`
		Carrier  string `json:"shippingCarrierCode"`
		Tracking string `json:"trackingNumber"`
	}
	if json.Unmarshal(body, &in) != nil {
		return problem(http.StatusBadRequest, 32600, "REQUEST", "Invalid input data")
	}
	if o == nil {
		return problem(http.StatusBadRequest, 32100, "REQUEST", "Invalid Order Id")
	}
	if (in.Carrier == "") != (in.Tracking == "") || strings.IndexFunc(in.Tracking, func(c rune) bool { return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) }) >= 0 {
		return problem(http.StatusBadRequest, 32300, "REQUEST", "Invalid shipment tracking number or carrier")
	}
	spec := FulfilSpec{Carrier: in.Carrier, Tracking: in.Tracking}
	if in.Shipped != "" {
		at, err := time.Parse("2006-01-02T15:04:05.000Z", in.Shipped)
		if err != nil || at.After(s.now().Add(time.Minute)) {
			return problem(http.StatusBadRequest, 32500, "REQUEST", "Invalid shipped date")
		}
		spec.At = at
	}
	for _, l := range in.Lines {
		if l.Quantity == 0 {
			l.Quantity = 1
		}
		spec.Lines = append(spec.Lines, FulfilLineSpec{l.ID, l.Quantity})
	}
	mail, err := s.ship(o, spec)
	if err != nil {
		return problem(http.StatusBadRequest, 32200, "REQUEST", "Invalid line item id: "+err.Error())
	}
	s.stats.Shipments++
	id := o.shipments[len(o.shipments)-1].id
	return reply{status: http.StatusCreated, body: object{}, wrote: true, mail: mail, location: "https://api.ebay.com/sell/fulfillment/v1/order/" + o.id + "/shipping_fulfillment/" + id}
}

func (s *Simulator) postRefund(r *http.Request, body []byte) reply {
	if s.cfg.SignatureKey != nil && !s.signed(r, body) {
		return problem(http.StatusForbidden, 215122, "REQUEST", "Signature validation failed")
	}
	o := s.orders[r.PathValue("id")]
	if o == nil {
		return problem(http.StatusNotFound, 34913, "REQUEST", "Can not find the order.")
	}
	type money struct{ Currency, Value string }
	var in struct {
		Reason  string `json:"reasonForRefund"`
		Comment string `json:"comment"`
		Amount  *money `json:"orderLevelRefundAmount"`
		Items   []struct {
			Line   string `json:"lineItemId"`
			Amount *money `json:"refundAmount"`
		} `json:"refundItems"`
	}
	if json.Unmarshal(body, &in) != nil || in.Reason == "" || (in.Amount == nil) == (len(in.Items) == 0) || len(in.Comment) > 100 {
		return problem(http.StatusBadRequest, 34905, "REQUEST", "Either orderLevelRefundAmount or refundItems must be specified.")
	}
	spec := RefundSpec{Note: in.Comment, Pending: true}
	if in.Amount != nil {
		spec.Amount = in.Amount.Value
	}
	for _, i := range in.Items {
		spec.Lines = append(spec.Lines, RefundLineSpec{Line: i.Line, Amount: i.Amount.Value})
	}
	refund, err := s.refund(o, spec)
	if err != nil {
		return problem(http.StatusConflict, 34924, "BUSINESS", "The item refund amount exceeds the item remaining amount. "+err.Error())
	}
	s.stats.Refunds++
	return reply{body: object{"refundId": refund.id, "refundStatus": "PENDING"}, wrote: true}
}

// postCancel is the Post-Order API's: it cancels at once what is not shipped, and refunds.
func (s *Simulator) postCancel(r *http.Request, body []byte) reply {
	if s.cfg.SignatureKey != nil && !s.signed(r, body) {
		return problem(http.StatusForbidden, 215122, "REQUEST", "Signature validation failed")
	}
	var in struct {
		Order  string `json:"legacyOrderId"`
		Reason string `json:"cancelReason"`
	}
	if json.Unmarshal(body, &in) != nil || in.Reason == "" || s.orders[in.Order] == nil {
		return problem(http.StatusBadRequest, 1616, "REQUEST", "Invalid Input.")
	}
	o := s.orders[in.Order]
	if err := s.cancel(o, in.Reason, false, s.now()); err != nil {
		return problem(http.StatusBadRequest, 1617, "REQUEST", "The order is not eligible for cancellation: "+err.Error())
	}
	s.stats.Cancellations++
	return reply{body: object{"cancelId": o.cancels[len(o.cancels)-1].id}, wrote: true}
}

// postApprove agrees to what a buyer asked for.
func (s *Simulator) postApprove(r *http.Request, body []byte) reply {
	if s.cfg.SignatureKey != nil && !s.signed(r, body) {
		return problem(http.StatusForbidden, 215122, "REQUEST", "Signature validation failed")
	}
	for _, o := range s.inOrder {
		for _, c := range o.cancels {
			if c.id != r.PathValue("id") {
				continue
			}
			if err := s.cancel(o, c.reason, false, s.now()); err != nil {
				return problem(http.StatusBadRequest, 1617, "REQUEST", err.Error())
			}
			s.stats.Cancellations++
			return reply{wrote: true}
		}
	}
	return problem(http.StatusNotFound, 1618, "REQUEST", "There is no such request.")
}

// signed checks a digital signature as eBay's validator does.
func (s *Simulator) signed(r *http.Request, body []byte) bool {
	covered, text := `"x-ebay-signature-key" "@method" "@path" "@authority"`, ""
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		if r.Header.Get("Content-Digest") != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" {
			return false
		}
		covered, text = `"content-digest" `+covered, `"content-digest": `+r.Header.Get("Content-Digest")+"\n"
	}
	params, ok := strings.CutPrefix(r.Header.Get("Signature-Input"), "sig1=")
	if !ok || !strings.HasPrefix(params, "("+covered+");created=") {
		return false
	}
	text += fmt.Sprintf("\"x-ebay-signature-key\": %s\n\"@method\": %s\n\"@path\": %s\n\"@authority\": %s\n\"@signature-params\": %s",
		r.Header.Get("X-Ebay-Signature-Key"), r.Method, r.URL.EscapedPath(), r.Host, params)
	given := strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Signature"), "sig1=:"), ":")
	signature, err := base64.StdEncoding.DecodeString(given)
	if err != nil {
		return false
	}
	switch key := s.cfg.SignatureKey.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, []byte(text), signature)
	case *rsa.PublicKey:
		hashed := sha256.Sum256([]byte(text))
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hashed[:], signature) == nil
	}
	return false
}
