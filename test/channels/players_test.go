package channels

// How each action of the script is done on each platform.

import (
	"strconv"

	amazonsim "github.com/helloword/crossdock/connectors/amazon/simulator"
	ebaysim "github.com/helloword/crossdock/connectors/ebay/simulator"
	magentosim "github.com/helloword/crossdock/connectors/magento/simulator"
	shopifysim "github.com/helloword/crossdock/connectors/shopify/simulator"
	woosim "github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// unpaid: the sale is not paid when it is placed.
func (s *sale) unpaid() bool {
	return s.life == cancelled || s.life == waiting || s.life == paidLater
}

// some is the text of an amount, "" for none.
func (s *sale) some(minor int64) string {
	if minor == 0 {
		return ""
	}
	return s.text(minor)
}

// ---- Shopify ----

type shopifyPlayer struct {
	*shopifysim.Simulator
	c        *clock
	variants map[string]int64
}

func (p *shopifyPlayer) offer(sku string, available int64) string {
	v := p.AddProduct(shopifysim.ProductSpec{Title: sku, Variants: []shopifysim.VariantSpec{{SKU: sku, Price: "10", Tracked: true, Available: available}}}).Variants[0]
	p.variants[sku] = v
	return strconv.FormatInt(v, 10)
}

func (p *shopifyPlayer) place(s *sale) (string, error) {
	spec := shopifysim.OrderSpec{
		At: p.c.now(), Customer: &shopifysim.Customer{ID: int64(s.n + 1), FirstName: "Account", LastName: "Holder", Email: s.email, Phone: s.shipping.phone},
		Shipping: shopifyAddress(s.shipping), Billing: shopifyAddress(s.billing), Delivery: s.text(s.delivery),
		DiscountCode: s.code, Discount: s.some(s.discount), TaxTitle: "VAT", TaxRate: s.rate, Included: s.included, Paid: !s.unpaid(),
	}
	for _, l := range s.lines {
		spec.Lines = append(spec.Lines, shopifysim.LineSpec{Variant: p.variants[l.sku], Quantity: l.units, Price: s.text(l.price), Discount: s.some(l.off)})
	}
	id, err := p.PlaceOrder(spec)
	return strconv.FormatInt(id, 10), err
}

func shopifyAddress(a address) *shopifysim.Address {
	return &shopifysim.Address{FirstName: a.first, LastName: a.last, Company: a.company, Address1: a.line1, Address2: a.line2, City: a.city,
		Province: a.region, ProvinceCode: a.code, Zip: a.zip, Country: a.country, CountryCode: a.country, Phone: a.phone}
}

func (p *shopifyPlayer) pay(order string) error { return p.Pay(number(order)) }

func (p *shopifyPlayer) ship(order string, units []int64) error {
	spec := shopifysim.FulfilSpec{At: p.c.now()}
	o, _ := p.Order(number(order))
	for i, n := range units {
		if n > 0 {
			spec.Lines = append(spec.Lines, shopifysim.FulfilLineSpec{Line: o.Lines[i].ID, Quantity: n})
		}
	}
	return p.Fulfil(number(order), spec)
}

func (p *shopifyPlayer) cancel(order string) error {
	return p.Cancel(number(order), "customer", true, p.c.now())
}

func (p *shopifyPlayer) void(order string, s *sale, r *refund) error {
	if err := p.refund(order, s, r); err != nil {
		return err
	}
	return p.cancel(order)
}

func (p *shopifyPlayer) refund(order string, s *sale, r *refund) error {
	o, _ := p.Order(number(order))
	spec := shopifysim.RefundSpec{At: p.c.now(), Shipping: s.some(r.shipping)}
	for i, n := range r.units {
		if n > 0 {
			spec.Lines = append(spec.Lines, shopifysim.RefundLineSpec{Line: o.Lines[i].ID, Quantity: n, Restock: restockWord(r.restock)})
		}
	}
	_, err := p.Refund(number(order), spec)
	return err
}

// ---- WooCommerce ----

type wooPlayer struct {
	*woosim.Simulator
	c        *clock
	variants map[string]int64
}

func (p *wooPlayer) offer(sku string, available int64) string {
	v := p.AddProduct(woosim.ProductSpec{Title: sku, Variants: []woosim.VariantSpec{{SKU: sku, Price: "10", Tracked: true, Available: available}}}).Variants[0]
	p.variants[sku] = v
	return strconv.FormatInt(v, 10)
}

func (p *wooPlayer) place(s *sale) (string, error) {
	spec := woosim.OrderSpec{
		At: p.c.now(), Customer: &woosim.Customer{ID: int64(s.n + 1), Email: s.email}, Shipping: wooAddress(s.shipping), Billing: wooAddress(s.billing),
		Delivery: s.text(s.delivery), DiscountCode: s.code, Discount: s.some(s.discount), TaxTitle: "VAT", TaxRate: s.rate, Included: s.included,
		Paid: !s.unpaid(), Pending: s.unpaid(),
	}
	for _, l := range s.lines {
		spec.Lines = append(spec.Lines, woosim.LineSpec{Variant: p.variants[l.sku], Quantity: l.units, Price: s.text(l.price), Discount: s.some(l.off)})
	}
	id, err := p.PlaceOrder(spec)
	return strconv.FormatInt(id, 10), err
}

func wooAddress(a address) *woosim.Address {
	return &woosim.Address{FirstName: a.first, LastName: a.last, Company: a.company, Address1: a.line1, Address2: a.line2, City: a.city,
		Province: a.code, Zip: a.zip, CountryCode: a.country, Phone: a.phone}
}

func (p *wooPlayer) pay(order string) error { return p.Pay(number(order)) }

// ship: the core ships whole orders, so that a part is not told at all.
func (p *wooPlayer) ship(order string, units []int64) error {
	if units != nil {
		return nil
	}
	return p.Fulfil(number(order), woosim.FulfilSpec{})
}

func (p *wooPlayer) cancel(order string) error {
	return p.Cancel(number(order), "customer", true, p.c.now())
}

func (p *wooPlayer) void(order string, s *sale, r *refund) error {
	if err := p.refund(order, s, r); err != nil {
		return err
	}
	return p.cancel(order)
}

func (p *wooPlayer) refund(order string, s *sale, r *refund) error {
	o, _ := p.Order(number(order))
	spec := woosim.RefundSpec{At: p.c.now(), Shipping: s.some(r.shipping)}
	for i, n := range r.units {
		if n > 0 {
			spec.Lines = append(spec.Lines, woosim.RefundLineSpec{Line: o.Lines[i].ID, Quantity: n, Restock: restockWord(r.restock)})
		}
	}
	_, err := p.Refund(number(order), spec)
	return err
}

// ---- Magento ----

type magentoPlayer struct {
	*magentosim.Simulator
	c        *clock
	products map[string]int64
}

func (p *magentoPlayer) offer(sku string, available int64) string {
	v := p.AddProduct(magentosim.ProductSpec{Title: sku, Variants: []magentosim.VariantSpec{{SKU: sku, Price: "10", Tracked: true, Available: available}}}).Variants[0]
	p.products[sku] = v
	return strconv.FormatInt(v, 10)
}

func (p *magentoPlayer) place(s *sale) (string, error) {
	spec := magentosim.OrderSpec{
		At: p.c.now(), Customer: &magentosim.Customer{ID: int64(s.n + 1), Email: s.email}, Shipping: magentoAddress(s.shipping), Billing: magentoAddress(s.billing),
		Delivery: s.text(s.delivery), DiscountCode: s.code, Discount: s.some(s.discount), TaxTitle: "VAT", TaxRate: s.rate, Included: s.included, Paid: !s.unpaid(),
	}
	for _, l := range s.lines {
		spec.Lines = append(spec.Lines, magentosim.LineSpec{Variant: p.products[l.sku], Quantity: l.units, Price: s.text(l.price), Discount: s.some(l.off)})
	}
	id, err := p.PlaceOrder(spec)
	return strconv.FormatInt(id, 10), err
}

func magentoAddress(a address) *magentosim.Address {
	return &magentosim.Address{FirstName: a.first, LastName: a.last, Company: a.company, Address1: a.line1, Address2: a.line2, City: a.city,
		Province: a.region, ProvinceCode: a.code, Zip: a.zip, Country: a.country, CountryCode: a.country, Phone: a.phone}
}

func (p *magentoPlayer) pay(order string) error { return p.Pay(number(order)) }

func (p *magentoPlayer) ship(order string, units []int64) error {
	spec := magentosim.FulfilSpec{At: p.c.now()}
	o, _ := p.Order(number(order))
	for i, n := range units {
		if n > 0 {
			spec.Lines = append(spec.Lines, magentosim.FulfilLineSpec{Line: o.Lines[i].ID, Quantity: n})
		}
	}
	return p.Fulfil(number(order), spec)
}

func (p *magentoPlayer) cancel(order string) error {
	return p.Cancel(number(order), "", true, p.c.now())
}

// void: an invoiced order cannot be cancelled, a credit memo of all of it closes it.
func (p *magentoPlayer) void(order string, s *sale, r *refund) error { return p.refund(order, s, r) }

func (p *magentoPlayer) refund(order string, s *sale, r *refund) error {
	o, _ := p.Order(number(order))
	spec := magentosim.RefundSpec{At: p.c.now(), Shipping: s.some(r.shipping)}
	for i, n := range r.units {
		if n > 0 {
			spec.Lines = append(spec.Lines, magentosim.RefundLineSpec{Line: o.Lines[i].ID, Quantity: n, Restock: restockWord(r.restock)})
		}
	}
	_, err := p.Refund(number(order), spec)
	return err
}

// ---- Amazon ----

type amazonPlayer struct {
	*amazonsim.Simulator
	c *clock
}

func (p *amazonPlayer) offer(sku string, available int64) string {
	p.AddProduct(amazonsim.ProductSpec{Title: sku, Variants: []amazonsim.VariantSpec{{SKU: sku, Price: "10", Available: available}}})
	return sku
}

// relay is the address that Amazon shows instead of the buyer's.
func relay(s *sale) string { return "relay" + strconv.Itoa(s.n) + "@marketplace.amazon.example" }

func (p *amazonPlayer) place(s *sale) (string, error) {
	a := s.shipping
	spec := amazonsim.OrderSpec{
		At: p.c.now(), Customer: &amazonsim.Customer{Name: s.billing.name(), Email: relay(s)},
		Shipping: &amazonsim.Address{Name: a.name(), Company: a.company, Address1: a.line1, Address2: a.line2, City: a.city, Province: a.code, Zip: a.zip, CountryCode: a.country, Phone: a.phone},
		Delivery: s.some(s.delivery), DiscountCode: s.code, Discount: s.some(s.discount), TaxRate: s.rate, Included: s.included, Paid: !s.unpaid(),
	}
	for _, l := range s.lines {
		spec.Lines = append(spec.Lines, amazonsim.LineSpec{SKU: l.sku, Quantity: l.units, Price: s.text(l.price), Discount: s.some(l.off)})
	}
	return p.PlaceOrder(spec)
}

func (p *amazonPlayer) pay(order string) error { return p.Pay(order) }

func (p *amazonPlayer) ship(order string, units []int64) error {
	spec := amazonsim.FulfilSpec{At: p.c.now()}
	o, _ := p.Order(order)
	for i, n := range units {
		if n > 0 {
			spec.Lines = append(spec.Lines, amazonsim.FulfilLineSpec{Line: o.Lines[i].ID, Quantity: n})
		}
	}
	return p.Fulfil(order, spec)
}

func (p *amazonPlayer) cancel(order string) error {
	return p.Cancel(order, "BuyerCanceled", true, p.c.now())
}

// void: what was not shipped was not charged, so that nothing is to be given back.
func (p *amazonPlayer) void(order string, _ *sale, _ *refund) error { return p.cancel(order) }

// refund: what has left is refunded through feeds, of which orders say nothing; what has not
// is taken out of the order.
func (p *amazonPlayer) refund(order string, _ *sale, r *refund) error {
	if r.restock != event.Restock_RESTOCK_CANCEL {
		return nil
	}
	o, _ := p.Order(order)
	for i, n := range r.units {
		if n > 0 {
			if err := p.RemoveUnits(order, o.Lines[i].ID, n, p.c.now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// ---- eBay ----

type ebayPlayer struct {
	*ebaysim.Simulator
	c *clock
}

func (p *ebayPlayer) offer(sku string, available int64) string {
	p.AddProduct(ebaysim.ProductSpec{Title: sku, Variants: []ebaysim.VariantSpec{{SKU: sku, Price: "10", Tracked: true, Available: available}}})
	return sku
}

func (p *ebayPlayer) place(s *sale) (string, error) {
	a := s.shipping
	spec := ebaysim.OrderSpec{
		At: p.c.now(), Customer: &ebaysim.Customer{FirstName: a.first, LastName: a.last, Email: s.email},
		Shipping: &ebaysim.Address{FirstName: a.first, LastName: a.last, Company: a.company, Address1: a.line1, Address2: a.line2, City: a.city,
			Province: a.code, ProvinceCode: a.code, Zip: a.zip, Country: a.country, CountryCode: a.country, Phone: a.phone},
		Delivery: s.some(s.delivery), Discount: s.some(s.discount), Paid: !s.unpaid(),
	}
	if !s.included {
		spec.TaxRate = s.rate // VAT within a price is told nowhere
	}
	for _, l := range s.lines {
		spec.Lines = append(spec.Lines, ebaysim.LineSpec{Variant: l.sku, Quantity: l.units, Price: s.text(l.price), Discount: s.some(l.off)})
	}
	return p.PlaceOrder(spec)
}

func (p *ebayPlayer) pay(order string) error { return p.Pay(order) }

func (p *ebayPlayer) ship(order string, units []int64) error {
	o, _ := p.Order(order)
	spec := ebaysim.FulfilSpec{At: p.c.now()}
	for i, n := range units {
		if n > 0 {
			spec.Lines = append(spec.Lines, ebaysim.FulfilLineSpec{Line: o.Lines[i].ID, Quantity: n})
		}
	}
	if units == nil {
		for _, l := range o.Lines {
			// A refund takes nothing out of an order here: the seller knows what not to send.
			if open := l.Quantity - l.Fulfilled - l.Refunded; open > 0 {
				spec.Lines = append(spec.Lines, ebaysim.FulfilLineSpec{Line: l.ID, Quantity: open})
			}
		}
	}
	return p.Fulfil(order, spec)
}

func (p *ebayPlayer) cancel(order string) error {
	return p.Cancel(order, "BUYER_ASKED_CANCEL", true, p.c.now())
}

// void: eBay gives back what was paid by itself.
func (p *ebayPlayer) void(order string, _ *sale, _ *refund) error { return p.cancel(order) }

func (p *ebayPlayer) refund(order string, s *sale, r *refund) error {
	o, _ := p.Order(order)
	spec := ebaysim.RefundSpec{At: p.c.now()}
	if r.shipping > 0 {
		spec.Amount = s.text(s.total(r)) // of the order as a whole
	} else {
		for i, n := range r.units {
			if n > 0 {
				spec.Lines = append(spec.Lines, ebaysim.RefundLineSpec{Line: o.Lines[i].ID, Quantity: n, Restock: restockWord(r.restock), Amount: s.text(s.amount(i, n) + s.onTop(i, n))})
			}
		}
	}
	_, err := p.Refund(order, spec)
	return err
}
