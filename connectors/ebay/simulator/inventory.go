package simulator

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/helloword/crossdock/schemas/money"
)

// getItems is one page, by page number.
func (s *Simulator) getItems(r *http.Request, _ []byte) reply {
	limit, page, bad := paging(r.URL.Query(), 25)
	if bad {
		return problem(http.StatusBadRequest, 25706, "REQUEST", "You have provided invalid pagination values.")
	}
	var live []*item
	for _, i := range s.items {
		if !i.gone {
			live = append(live, i)
		}
	}
	list := []object{}
	for n := page * limit; n < len(live) && len(list) < limit; n++ {
		list = append(list, live[n].itemJSON())
	}
	out := object{"href": r.URL.RequestURI(), "total": len(live), "size": (len(live) + limit - 1) / limit, "limit": limit, "inventoryItems": list}
	if (page+1)*limit < len(live) {
		out["next"] = "/sell/inventory/v1/inventory_item?limit=" + strconv.Itoa(limit) + "&offset=" + strconv.Itoa(page+1)
	}
	return reply{body: out}
}

func (s *Simulator) getItemsOf(_ *http.Request, body []byte) reply {
	var in struct {
		Requests []struct {
			SKU string `json:"sku"`
		} `json:"requests"`
	}
	if json.Unmarshal(body, &in) != nil || len(in.Requests) == 0 || len(in.Requests) > 25 {
		return problem(http.StatusBadRequest, 25709, "REQUEST", "Invalid value for requests.")
	}
	all, status := []object{}, http.StatusOK
	for _, r := range in.Requests {
		if i := s.bySKU[r.SKU]; i != nil {
			all = append(all, object{"statusCode": 200, "sku": r.SKU, "inventoryItem": i.itemJSON(), "warnings": []object{}, "errors": []object{}})
			continue
		}
		status = http.StatusMultiStatus
		all = append(all, object{"statusCode": 404, "sku": r.SKU, "errors": []object{{"errorId": 25710, "domain": "API_INVENTORY", "category": "REQUEST", "message": "We didn't find the resource/entity you are requesting."}}})
	}
	return reply{status: status, body: object{"responses": all}}
}

func (s *Simulator) getOffers(r *http.Request, _ []byte) reply {
	i := s.bySKU[r.URL.Query().Get("sku")]
	if i == nil {
		return problem(http.StatusNotFound, 25713, "REQUEST", "This Offer is not available.")
	}
	return reply{body: object{"href": r.URL.RequestURI(), "total": 1, "size": 1, "limit": 100, "offers": []object{s.offerJSON(i)}}}
}

// postUpdate sets quantities and prices. Each entry is judged alone.
func (s *Simulator) postUpdate(_ *http.Request, body []byte) reply {
	var in struct {
		Requests []struct {
			SKU  string `json:"sku"`
			Ship *struct {
				Quantity *int64 `json:"quantity"`
			} `json:"shipToLocationAvailability"`
			Offers []struct {
				ID       string `json:"offerId"`
				Quantity *int64 `json:"availableQuantity"`
				Price    *struct {
					Value    string `json:"value"`
					Currency string `json:"currency"`
				} `json:"price"`
			} `json:"offers"`
		} `json:"requests"`
	}
	if json.Unmarshal(body, &in) != nil || len(in.Requests) == 0 || len(in.Requests) > 25 {
		return problem(http.StatusBadRequest, 25002, "REQUEST", "Any User error.")
	}
	if s.cfg.OneSKU && len(in.Requests) > 1 {
		return problem(http.StatusBadRequest, 25002, "REQUEST", "Any User error. Only one SKU can be updated per call.")
	}
	all, status, wrote := []object{}, http.StatusOK, false
	answer := func(code int, sku, offer string, id int64, message string) {
		one := object{"statusCode": code, "sku": sku}
		if offer != "" {
			one["offerId"] = offer
		}
		if id != 0 {
			status = http.StatusMultiStatus
			one["errors"] = []object{{"errorId": id, "domain": "API_INVENTORY", "category": "REQUEST", "message": "A user error has occurred. " + message, "longMessage": message}}
		}
		if !s.hit(s.faults.LeaveOut) {
			all = append(all, one)
		}
	}
	for _, r := range in.Requests {
		i := s.bySKU[r.SKU]
		switch {
		case i == nil:
			s.stats.PushesRefused++
			answer(http.StatusNotFound, r.SKU, "", 25710, "We didn't find the resource/entity you are requesting.")
			continue
		case s.hit(s.faults.Refuse):
			s.stats.PushesRefused++
			answer(http.StatusBadRequest, r.SKU, i.offer, 25002, "The seller is not allowed to revise this item.")
			if r.Ship != nil {
				answer(http.StatusBadRequest, r.SKU, "", 25002, "The seller is not allowed to revise this item.")
			}
			continue
		case !s.revise(i):
			s.stats.PushesRefused++
			answer(http.StatusBadRequest, r.SKU, i.offer, 25002, "You have exceeded the number of revisions (250) allowed for this item in one day.")
			continue
		}
		before := i.shown()
		if r.Ship != nil && r.Ship.Quantity != nil {
			i.quantity = *r.Ship.Quantity
			answer(http.StatusOK, r.SKU, "", 0, "")
		}
		for _, o := range r.Offers {
			if o.ID != i.offer {
				answer(http.StatusBadRequest, r.SKU, o.ID, 25709, "Invalid value for offerId.")
				continue
			}
			if o.Quantity != nil {
				i.available = *o.Quantity
			}
			if o.Price != nil {
				minor, err := money.Parse("ebay", s.cfg.Currency, o.Price.Value)
				if err != nil || o.Price.Currency != s.cfg.Currency {
					answer(http.StatusBadRequest, r.SKU, o.ID, 25709, "Invalid value for price.")
					continue
				}
				i.price = minor
			}
			answer(http.StatusOK, r.SKU, o.ID, 0, "")
		}
		wrote = true
		if r.Ship != nil {
			if told := i.shown(); told == before {
				s.stats.PushesRepeated++
			} else {
				s.stats.PushesAccepted++
				s.ledger = append(s.ledger, Write{s.now(), i.sku, told, before})
			}
		}
	}
	return reply{status: status, body: object{"responses": all}, wrote: wrote}
}

// revise counts one revision of a listing; false when there were too many today.
func (s *Simulator) revise(i *item) bool {
	if day := s.today(); i.revisions.day != day {
		i.revisions.day, i.revisions.count = day, 0
	}
	if i.revisions.count >= s.cfg.Revisions {
		return false
	}
	i.revisions.count++
	return true
}
