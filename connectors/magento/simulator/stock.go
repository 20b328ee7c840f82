package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/helloword/crossdock/schemas/money"
)

func (s *Simulator) listSourceItems(c *call) reply {
	skus := make([]string, 0, len(s.sources))
	for sku := range s.sources {
		skus = append(skus, sku)
	}
	slices.Sort(skus)
	rows := make([]row, len(skus))
	for i, sku := range skus {
		it := s.sources[sku]
		rows[i] = row{func(name string) (string, bool) {
			switch name {
			case "sku":
				return sku, true
			case "source_code":
				return s.cfg.Source, true
			case "quantity":
				return digits(it.quantity), true
			}
			return "", false
		}, func() any {
			return object{"sku": it.sku, "source_code": s.cfg.Source, "quantity": it.quantity, "status": it.status}
		}, nil}
	}
	return s.list(c, rows)
}

// saveSourceItems checks everything before it saves anything; whether a SKU exists is none of
// what it checks.
func (s *Simulator) saveSourceItems(c *call) reply {
	var in struct {
		Items []struct {
			SKU      string   `json:"sku"`
			Source   string   `json:"source_code"`
			Quantity *float64 `json:"quantity"`
			Status   int      `json:"status"`
		} `json:"sourceItems"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		return fail(http.StatusBadRequest, "Decoding error.")
	}
	if len(in.Items) == 0 {
		return fail(http.StatusBadRequest, "Input data is empty")
	}
	for _, it := range in.Items {
		switch {
		case it.SKU == "":
			return fail(http.StatusBadRequest, `"%1" can not be empty.`, "sku")
		case it.Source != s.cfg.Source:
			return fail(http.StatusBadRequest, "Validation Failed", "source_code")
		case it.Quantity == nil:
			return fail(http.StatusBadRequest, `"%1" should be numeric.`, "quantity")
		}
	}
	if s.hit(s.faults.Refuse) {
		s.stats.PushesRefused += int64(len(in.Items))
		return reply{http.StatusOK, []any{}}
	}
	for _, it := range in.Items {
		if s.bySKU[it.SKU] == nil {
			s.stats.Orphans++
		}
		held := s.item(it.SKU)
		held.quantity, held.status = int64(*it.Quantity), it.Status
		s.stats.PushesAccepted++
		s.ledger = append(s.ledger, StockWrite{At: time.Unix(s.now(), 0).UTC(), SKU: it.SKU, Quantity: held.quantity, Salable: s.salable(it.SKU)})
	}
	return reply{http.StatusOK, []any{}}
}

func (s *Simulator) getSource(c *call) reply {
	if c.args[0] != s.cfg.Source {
		return fail(http.StatusNotFound, "The requested entity was not found")
	}
	return reply{http.StatusOK, object{"source_code": s.cfg.Source, "name": "Default Source", "enabled": true, "country_id": "DE", "postcode": "10115"}}
}

func (s *Simulator) getSalable(c *call) reply {
	p := s.bySKU[c.args[0]]
	switch {
	case p == nil:
		return fail(http.StatusNotFound, "The product that was requested doesn't exist. Verify the product and try again.")
	case p.kind == "configurable" || p.kind == "bundle":
		return fail(http.StatusBadRequest, "Can't check requested quantity for products without Source Items support.")
	}
	return reply{http.StatusOK, s.salable(p.sku)}
}

// postPrices applies what is good of a list, and answers 200 with what is not.
func (s *Simulator) postPrices(c *call) reply {
	var in struct {
		Prices []struct {
			Price json.Number `json:"price"`
			SKU   string      `json:"sku"`
		} `json:"prices"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		return fail(http.StatusBadRequest, "Decoding error.")
	}
	failures := []any{}
	for _, it := range in.Prices {
		p := s.bySKU[it.SKU]
		_, err := money.ParseDecimal(it.Price.String())
		switch {
		case p == nil:
			failures = append(failures, object{"message": "The product that was requested doesn't exist. Verify the product and try again. Row ID: SKU = %SKU, Store ID: %storeId.", "parameters": []any{it.SKU, "0"}})
		case err != nil || it.Price.String()[0] == '-' || s.hit(s.faults.Refuse):
			failures = append(failures, object{"message": "Invalid attribute %fieldName = %fieldValue. Row ID: SKU = %SKU, Store ID: %storeId.", "parameters": []any{"Price", it.Price.String(), it.SKU, "0"}})
		default:
			p.price = it.Price.String()
			s.stats.PricesAccepted++
		}
	}
	return reply{http.StatusOK, failures}
}

// pricesOf answers the default prices of SKUs.
func (s *Simulator) pricesOf(c *call) reply {
	var in struct {
		SKUs []string `json:"skus"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		return fail(http.StatusBadRequest, "Decoding error.")
	}
	prices := []any{}
	for _, sku := range in.SKUs {
		p := s.bySKU[sku]
		if p == nil {
			return fail(http.StatusNotFound, "Requested products don't exist: %1", sku)
		}
		if p.price != "" {
			prices = append(prices, object{"price": trimmed(p.price), "store_id": 0, "sku": sku})
		}
	}
	return reply{http.StatusOK, prices}
}

// Price is what one of a variant costs; "" for one that does not exist.
func (s *Simulator) Price(variant int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.byID[variant]; p != nil {
		return p.price
	}
	return ""
}
