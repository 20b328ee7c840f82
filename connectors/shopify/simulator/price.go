package simulator

import (
	"strconv"

	"github.com/helloword/crossdock/schemas/money"
)

// setPrices carries out productVariantsBulkUpdate, as far as prices go: all of it or nothing,
// unless partial updates are allowed.
func (x *exec) setPrices(f *field) {
	var failures []failureOf
	p, changed := x.priced(f, &failures)
	x.payload("ProductVariantsBulkUpdatePayload", f, failures, func(f *field) bool {
		switch f.name {
		case "product":
			if p == nil {
				x.null()
				return true
			}
			x.product(p, f.under)
		case "productVariants":
			x.list(len(changed), func(i int) { x.variant(changed[i], f.under) })
		default:
			return false
		}
		return true
	})
}

func (x *exec) priced(f *field, failures *[]failureOf) (*product, []*variant) {
	s := x.s
	inputs, _ := x.arg(f, "variants").([]any)
	if len(inputs) > 250 {
		x.fail("MAX_INPUT_SIZE_EXCEEDED", "The input array size of %d is greater than the maximum allowed of 250.", len(inputs))
		return nil, nil
	}
	if *failures = x.refuses(); *failures != nil {
		return nil, nil
	}
	_, id := split(x.text(f, "productId"))
	p := s.product(id)
	if p == nil {
		*failures = []failureOf{{"PRODUCT_DOES_NOT_EXIST", "Product does not exist", []string{"productId"}}}
		return nil, nil
	}
	var variants []*variant
	var prices []decimal
	for i, in := range inputs {
		in, _ := in.(map[string]any)
		refuse := func(member, code, message string) {
			*failures = append(*failures, failureOf{code, message, []string{"variants", strconv.Itoa(i), member}})
		}
		text, _ := in["id"].(string)
		_, id := split(text)
		v := s.variants[id]
		if v == nil || v.product != p {
			refuse("id", "PRODUCT_VARIANT_DOES_NOT_EXIST", "Product variant does not exist")
			continue
		}
		text, _ = in["price"].(string)
		d, err := money.ParseDecimal(text)
		switch {
		case err != nil:
			refuse("price", "INVALID_INPUT", "Price is not a number")
		case d.Unscaled < 0:
			refuse("price", "GREATER_THAN_OR_EQUAL_TO", "Price must be greater than or equal to 0")
		default:
			variants, prices = append(variants, v), append(prices, decimal{text, d})
		}
	}
	partial, _ := x.arg(f, "allowPartialUpdates").(bool)
	if len(*failures) > 0 && !partial {
		return p, nil
	}
	changed := false
	for i, v := range variants {
		changed = changed || v.price.text != prices[i].text
		v.price = prices[i]
	}
	s.stats.Prices += int64(len(variants))
	if changed {
		s.touchProduct(p)
		x.mail = s.post(x.mail, "products/update", func() []byte { return s.productJSON(p) })
	}
	return p, variants
}

// Price is what a variant costs, as it was written; "" for one that does not exist.
func (s *Simulator) Price(variant int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.variants[variant]; v != nil {
		return v.price.text
	}
	return ""
}
