package simulator

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// settled is how old a change must be to stand in the list of orders.
const settled = 2 * time.Minute

// tokenLife is how long a token for the next page of orders works.
const tokenLife = 24 * time.Hour

// pageToken is what a token for the next page of orders holds.
type pageToken struct {
	// Asked is the query that it belongs to, without itself.
	Asked  string `json:"asked"`
	Made   int64  `json:"made"`
	Before int64  `json:"before"`
	// List is the number of the list that was fixed when the first page was asked for.
	List   int `json:"list,omitempty"`
	Offset int `json:"offset,omitempty"`
}

// fixed is a list of orders that is being read page by page.
type fixed struct {
	made int64
	ids  []string
}

// fix keeps a list for as long as a token for it works.
func (s *Simulator) fix(ids []string) int {
	for n, l := range s.lists {
		if s.now()-l.made > int64(tokenLife/time.Second) {
			delete(s.lists, n)
		}
	}
	s.nextList++
	s.lists[s.nextList] = fixed{s.now(), ids}
	return s.nextList
}

func (s *Simulator) searchOrders(q url.Values) reply {
	invalid := func(message string) reply { return refusal(http.StatusBadRequest, "InvalidInput", message) }
	after := q.Get("lastUpdatedAfter")
	if (after == "") == (q.Get("createdAfter") == "") {
		return invalid("exactly one of createdAfter and lastUpdatedAfter must be provided")
	}
	if after == "" {
		return invalid("the simulator lists by lastUpdatedAfter only")
	}
	from, err := time.Parse(time.RFC3339, after)
	if err != nil {
		return invalid("lastUpdatedAfter is not in ISO 8601")
	}
	n, err := strconv.Atoi(q.Get("maxResultsPerPage"))
	if q.Get("maxResultsPerPage") == "" {
		n, err = 100, nil
	}
	if err != nil || n < 1 || n > 100 {
		return invalid("maxResultsPerPage must be between 1 and 100")
	}
	before := s.now() - int64(settled/time.Second)
	if text := q.Get("lastUpdatedBefore"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil || t.Unix() > before || t.Before(from) {
			return invalid("lastUpdatedBefore must be at least two minutes before the time of the request")
		}
		before = t.Unix()
	}
	asked := url.Values{}
	for k, v := range q {
		if k != "paginationToken" {
			asked[k] = v
		}
	}
	t := pageToken{Asked: asked.Encode(), Made: s.now(), Before: before}
	var ids []string
	if given := q.Get("paginationToken"); given == "" {
		for _, o := range s.changed(from.Unix(), before, q) {
			ids = append(ids, o.id)
		}
	} else {
		text, err := base64.RawURLEncoding.DecodeString(given)
		asked := t.Asked
		if err != nil || json.Unmarshal(text, &t) != nil || t.Asked != asked || s.now()-t.Made > int64(tokenLife/time.Second) {
			return invalid("paginationToken is not valid for this request")
		}
		ids = s.lists[t.List].ids
	}
	var found []*order
	var more bool
	if s.faults.PageDrift {
		all := s.changed(from.Unix(), t.Before, q)
		all = all[min(t.Offset, len(all)):]
		found = all[:min(n, len(all))]
		t.Offset += len(found)
		more = len(all) > n
	} else {
		rest := ids[min(t.Offset, len(ids)):]
		size := min(n, len(rest))
		for _, id := range rest[:size] {
			if s.orders[id] != nil {
				found = append(found, s.orders[id])
			}
		}
		t.Offset += size
		if more = len(rest) > size; more && t.List == 0 {
			t.List = s.fix(ids)
		}
	}
	out := object{"orders": []object{}, "lastUpdatedBefore": stamp(t.Before)}
	nodes := make([]object, len(found))
	for i, o := range found {
		nodes[i] = s.orderJSON(o)
	}
	out["orders"] = nodes
	if more {
		text, err := json.Marshal(t)
		if err != nil {
			panic(err) // texts and numbers
		}
		out["pagination"] = object{"nextToken": base64.RawURLEncoding.EncodeToString(text)}
	}
	return reply{code: http.StatusOK, body: out}
}

// changed is the orders that the list shows, in the order in which they were created: it is
// not said anywhere that they are sorted by their change.
func (s *Simulator) changed(from, before int64, q url.Values) []*order {
	markets := list(q, "marketplaceIds")
	if len(markets) > 0 && !slices.Contains(markets, s.cfg.Marketplace) {
		return nil
	}
	var found []*order
	for _, o := range s.inOrder {
		if o.updated >= from && o.updated <= before && !o.missing {
			found = append(found, o)
		}
	}
	return found
}

// ShowMissing puts the orders into the list that Faults.Missing left out of it.
func (s *Simulator) ShowMissing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.inOrder {
		o.missing = false
	}
}

func (s *Simulator) getOrder(id string) reply {
	o := s.orders[id]
	if o == nil {
		return refusal(http.StatusNotFound, "NotFound", "The order does not exist.")
	}
	return reply{code: http.StatusOK, body: object{"order": s.orderJSON(o)}}
}

// confirmation is the body of confirmShipment.
type confirmation struct {
	Marketplace string `json:"marketplaceId"`
	Package     struct {
		Reference string `json:"packageReferenceId"`
		Carrier   string `json:"carrierCode"`
		Name      string `json:"carrierName"`
		Service   string `json:"shippingMethod"`
		Tracking  string `json:"trackingNumber"`
		Date      string `json:"shipDate"`
		Items     []struct {
			ID       string `json:"orderItemId"`
			Quantity int64  `json:"quantity"`
		} `json:"orderItems"`
	} `json:"packageDetail"`
}

func (s *Simulator) confirmShipment(id string, body []byte) reply {
	var c confirmation
	invalid := func(message string) reply { return refusal(http.StatusBadRequest, "InvalidInput", message) }
	if err := json.Unmarshal(body, &c); err != nil {
		return invalid("the body is not valid")
	}
	o := s.orders[id]
	if o == nil {
		return refusal(http.StatusNotFound, "NotFound", "The order does not exist.")
	}
	p := c.Package
	if n, err := strconv.ParseInt(p.Reference, 10, 64); err != nil || n < 1 {
		return invalid("PackageReferenceId: is invalid, must be a positive numeric value.")
	}
	if _, err := time.Parse(time.RFC3339, p.Date); err != nil || p.Carrier == "" || p.Tracking == "" || len(p.Items) == 0 || c.Marketplace != s.cfg.Marketplace {
		return invalid("marketplaceId, carrierCode, trackingNumber, shipDate and orderItems are required")
	}
	if p.Carrier == "Other" && p.Name == "" {
		return invalid("carrierName is required when carrierCode is Other")
	}
	made := pack{reference: p.Reference, carrier: p.Carrier, service: p.Service, tracking: p.Tracking, shipped: p.Date, lines: map[string]int64{}}
	if p.Name != "" {
		made.carrier = p.Name
	}
	for _, i := range p.Items {
		made.lines[i.ID] += i.Quantity
		made.order = append(made.order, i.ID)
	}
	for i, have := range o.packages {
		if have.reference == p.Reference { // the same reference edits
			made.lines, made.order = have.lines, have.order
			o.packages[i] = made
			return reply{code: http.StatusNoContent}
		}
	}
	if err := o.ship(made); err != nil {
		return invalid(err.Error())
	}
	s.touch(o, "OrderStatusChange")
	return reply{code: http.StatusNoContent}
}
