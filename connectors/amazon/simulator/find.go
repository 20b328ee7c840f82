package simulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// settled is how old a change must be to stand in the list of orders.
const settled = 2 * time.Minute

// tokenLife is how long a token for the next page of orders works.
const tokenLife = 24 * time.Hour

// pageToken is what a token for the next page of orders holds.
type pageToken struct {
	// Asked is the query that it belongs to, without itself.
	Asked  string   `json:"asked"`
	Made   int64    `json:"made"`
	Before int64    `json:"before"`
	Rest   []string `json:"rest,omitempty"`
	Offset int      `json:"offset,omitempty"`
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
	if given := q.Get("paginationToken"); given == "" {
		for _, o := range s.changed(from.Unix(), before, q) {
			t.Rest = append(t.Rest, o.id)
		}
	} else {
		text, err := base64.RawURLEncoding.DecodeString(given)
		asked := t.Asked
		if err != nil || json.Unmarshal(text, &t) != nil || t.Asked != asked || s.now()-t.Made > int64(tokenLife/time.Second) {
			return invalid("paginationToken is not valid for this request")
		}
	}
	var found []*order
	var more bool
	if s.faults.PageDrift {
		all := s.changed(from.Unix(), t.Before, q)
		all = all[min(t.Offset, len(all)):]
		found = all[:min(n, len(all))]
		t.Offset, t.Rest = t.Offset+len(found), nil
		more = len(all) > n
	} else {
		size := min(n, len(t.Rest))
		for _, id := range t.Rest[:size] {
			if s.orders[id] != nil {
				found = append(found, s.orders[id])
			}
		}
		t.Rest = t.Rest[size:]
		more = len(t.Rest) > 0
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

// maxListings is how many listings a search can be paged through.
const maxListings = 1000

func (s *Simulator) searchListings(q url.Values) reply {
	if len(list(q, "marketplaceIds")) == 0 {
		return refusal(http.StatusBadRequest, "InvalidInput", "marketplaceIds is required")
	}
	wanted := set(list(q, "includedData"))
	var found []*listing
	only := list(q, "identifiers")
	if (len(only) > 0) != (q.Get("identifiersType") == "SKU") || len(only) > 20 {
		return refusal(http.StatusBadRequest, "InvalidInput", "identifiers and identifiersType belong together, and 20 are taken")
	}
	var from int64
	if text := q.Get("lastUpdatedAfter"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return refusal(http.StatusBadRequest, "InvalidInput", "lastUpdatedAfter is not in ISO 8601")
		}
		from = t.Unix()
	}
	named := set(only)
	for _, l := range s.inStock {
		if s.live(l.sku) != nil && l.updated >= from && (len(only) == 0 || named[l.sku]) {
			found = append(found, l)
		}
	}
	if q.Get("sortBy") == "lastUpdatedDate" || q.Get("sortBy") == "" {
		sort.SliceStable(found, func(a, b int) bool {
			if q.Get("sortOrder") == "ASC" {
				return found[a].updated < found[b].updated
			}
			return found[a].updated > found[b].updated
		})
	}
	total := len(found)
	found = found[:min(total, maxListings)]
	size := 10
	if text := q.Get("pageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 20 {
			return refusal(http.StatusBadRequest, "InvalidInput", "pageSize must be between 1 and 20")
		}
		size = n
	}
	offset := 0
	if text := q.Get("pageToken"); text != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(text, "page-"))
		if err != nil {
			return refusal(http.StatusBadRequest, "InvalidInput", "pageToken is not valid")
		}
		offset = min(n, len(found))
	}
	end := min(offset+size, len(found))
	items := []object{}
	for _, l := range found[offset:end] {
		items = append(items, s.listingJSON(l, wanted))
	}
	out := object{"numberOfResults": total, "items": items}
	if end < len(found) {
		out["pagination"] = object{"nextToken": fmt.Sprintf("page-%d", end)}
	}
	return reply{code: http.StatusOK, body: out}
}

func (s *Simulator) getListing(sku string, q url.Values) reply {
	l := s.live(sku)
	if l == nil {
		return refusal(http.StatusNotFound, "NOT_FOUND", "SKU '"+sku+"' not found in marketplace")
	}
	return reply{code: http.StatusOK, body: s.listingJSON(l, set(list(q, "includedData")))}
}

// patchBody is the body of patchListingsItem.
type patchBody struct {
	ProductType string `json:"productType"`
	Patches     []struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value []struct {
			Channel  string      `json:"fulfillment_channel_code"`
			Quantity *int64      `json:"quantity"`
			Market   string      `json:"marketplace_id"`
			Currency string      `json:"currency"`
			Price    []priceList `json:"our_price"`
		} `json:"value"`
	} `json:"patches"`
}

type priceList struct {
	Schedule []struct {
		Value json.Number `json:"value_with_tax"`
	} `json:"schedule"`
}

func (s *Simulator) patchListing(sku string, q url.Values, body []byte) reply {
	var b patchBody
	if err := json.Unmarshal(body, &b); err != nil || b.ProductType == "" || len(b.Patches) == 0 || len(list(q, "marketplaceIds")) == 0 {
		return refusal(http.StatusBadRequest, "InvalidInput", "the request is not valid")
	}
	l := s.live(sku)
	if l == nil {
		return refusal(http.StatusNotFound, "NOT_FOUND", "SKU '"+sku+"' not found in marketplace")
	}
	invalid := func(attribute, message string) reply {
		s.stats.PushesRefused++
		return reply{code: http.StatusOK, body: object{"sku": sku, "status": "INVALID", "submissionId": s.uuid(), "issues": []object{{
			"code": "90000900", "message": message, "severity": "ERROR", "attributeNames": []string{attribute}, "categories": []string{"INVALID_ATTRIBUTE"},
		}}}}
	}
	if s.hit(s.faults.Refuse) {
		return invalid("fulfillment_availability", "The attributes are invalid.")
	}
	c := change{due: s.cfg.Now().Add(s.cfg.ApplyAfter)}
	for _, p := range b.Patches {
		switch {
		case p.Op != "merge" && p.Op != "replace", len(p.Value) == 0:
			return refusal(http.StatusBadRequest, "InvalidInput", "op must be merge or replace, with a value")
		case p.Path == "/attributes/fulfillment_availability":
			v := p.Value[0]
			if v.Channel == "" || v.Quantity == nil || *v.Quantity < 0 {
				return invalid("fulfillment_availability", "fulfillment_channel_code and quantity are required.")
			}
			// What the real one does without a word: the listing leaves Amazon's warehouse.
			l.fba = v.Channel != "DEFAULT"
			c.quantity = v.Quantity
		case p.Path == "/attributes/purchasable_offer":
			v := p.Value[0]
			if v.Market != s.cfg.Marketplace || v.Currency != s.cfg.Currency || len(v.Price) != 1 || len(v.Price[0].Schedule) != 1 {
				return invalid("purchasable_offer", "marketplace_id, currency and our_price are required.")
			}
			c.price = v.Price[0].Schedule[0].Value.String()
		default:
			return invalid("unknown", "The attribute is not known.")
		}
	}
	if c.quantity != nil {
		s.stats.PushesAccepted++
		s.writes = append(s.writes, StockWrite{sku, *c.quantity, s.cfg.Now()})
		if last := l.target(); last != *c.quantity {
			s.stats.PushesChanged++
		}
	}
	l.pending = append(l.pending, c)
	s.apply(l)
	return reply{code: http.StatusOK, body: object{"sku": sku, "status": "ACCEPTED", "submissionId": s.uuid(), "issues": []object{}}}
}

// target is what a listing will show when everything is applied.
func (l *listing) target() int64 {
	for i := len(l.pending) - 1; i >= 0; i-- {
		if q := l.pending[i].quantity; q != nil {
			return *q
		}
	}
	return l.quantity
}

func (s *Simulator) summaries(q url.Values) reply {
	market := q.Get("granularityId")
	if q.Get("granularityType") != "Marketplace" || market == "" || q.Get("marketplaceIds") != market {
		return refusal(http.StatusBadRequest, "InvalidInput", "granularityType, granularityId and marketplaceIds are required")
	}
	var from int64
	if text := q.Get("startDateTime"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return refusal(http.StatusBadRequest, "InvalidInput", "startDateTime is not in ISO 8601")
		}
		from = t.Unix()
	}
	var found []*listing
	for _, l := range s.inStock {
		if s.live(l.sku) != nil && l.fba && l.changed >= from && market == s.cfg.Marketplace {
			found = append(found, l)
		}
	}
	const size = 50
	offset := 0
	if token := q.Get("nextToken"); token != "" {
		var made int64
		if n, err := fmt.Sscanf(token, "%d-%d", &made, &offset); n != 2 || err != nil || s.now()-made > 30 {
			return refusal(http.StatusBadRequest, "InvalidInput", "nextToken is not valid or has expired")
		}
	}
	offset = min(offset, len(found))
	end := min(offset+size, len(found))
	nodes := []object{}
	for _, l := range found[offset:end] {
		nodes = append(nodes, object{
			"asin": l.asin, "fnSku": "X00" + l.asin, "sellerSku": l.sku, "condition": "NewItem", "productName": l.title,
			"lastUpdatedTime": stamp(l.changed), "totalQuantity": l.fulfillable,
			"inventoryDetails": object{"fulfillableQuantity": l.fulfillable, "inboundWorkingQuantity": 0},
		})
	}
	out := object{"payload": object{"granularity": object{"granularityType": "Marketplace", "granularityId": market}, "inventorySummaries": nodes}}
	if end < len(found) {
		out["pagination"] = object{"nextToken": fmt.Sprintf("%d-%d", s.now(), end)}
	}
	return reply{code: http.StatusOK, body: out}
}

func (s *Simulator) participations() reply {
	return reply{code: http.StatusOK, body: object{"payload": []object{{
		"marketplace": object{
			"id": s.cfg.Marketplace, "name": "Amazon", "countryCode": "GB", "defaultCurrencyCode": s.cfg.Currency,
			"defaultLanguageCode": "en_GB", "domainName": "www.amazon.co.uk",
		},
		"storeName":     "Simulated store",
		"participation": object{"isParticipating": true, "hasSuspendedListings": false},
	}}}}
}
