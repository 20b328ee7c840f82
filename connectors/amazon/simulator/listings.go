package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

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
