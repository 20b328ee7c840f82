package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/helloword/crossdock/schemas/money"
)

// text is an amount as the shop writes it.
func (s *Simulator) text(minor int64) string {
	b := fmt.Sprintf("%0*d", s.exponent+1, max(minor, -minor))
	if at := len(b) - s.exponent; s.exponent > 0 {
		b = b[:at] + "." + b[at:]
	}
	if minor < 0 {
		b = "-" + b
	}
	return b
}

// gmt is a time as members ending in _gmt have it; local the same time at the shop.
func gmt(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02T15:04:05") }

func (s *Simulator) local(unix int64) string {
	return time.Unix(unix, 0).In(s.cfg.Zone).Format("2006-01-02T15:04:05")
}

func maybe(unix int64, f func(int64) string) *string {
	if unix == 0 {
		return nil
	}
	text := f(unix)
	return &text
}

func (a *Address) doc(billing bool, c *Customer) addressDoc {
	var d addressDoc
	if a != nil {
		d = addressDoc{a.FirstName, a.LastName, a.Company, a.Address1, a.Address2, a.City, a.Province, a.Zip, a.CountryCode, nil, a.Phone}
	}
	if billing {
		var email string
		if a != nil {
			email = a.Email
		}
		if c != nil {
			if email == "" {
				email = c.Email
			}
			if a == nil {
				d.FirstName, d.LastName, d.Phone = c.FirstName, c.LastName, c.Phone
			}
		}
		d.Email = &email
	}
	return d
}

func (s *Simulator) lineDoc(o *order, l *line) lineDoc {
	d := lineDoc{
		ID: l.id, Name: l.title, ProductID: l.product, VariationID: l.variation, Quantity: l.quantity,
		Subtotal: s.text(l.subtotal), SubtotalTax: s.text(l.subtotalTax), Total: s.text(l.total), TotalTax: s.text(l.tax),
		Taxes: s.taxParts(o, l.tax), Meta: []metaDoc{}, SKU: l.sku, Price: json.RawMessage("0"),
	}
	if l.variant != nil {
		d.GTIN = l.variant.gtin
		if l.variation != 0 {
			d.ParentName = &l.variant.product.title
		}
	}
	if l.quantity > 0 {
		unit, err := money.ParseDecimal(d.Total)
		if err == nil {
			f := float64(unit.Unscaled)
			for range unit.Scale {
				f /= 10
			}
			d.Price = strconv.AppendFloat(nil, f/float64(l.quantity), 'f', -1, 64)
		}
	}
	if l.reduced != 0 {
		d.Meta = append(d.Meta, metaDoc{l.id*100 + 1, "_reduced_stock", strconv.FormatInt(l.reduced, 10)})
	}
	if l.restocked != 0 {
		d.Meta = append(d.Meta, metaDoc{l.id*100 + 2, "_restock_refunded_items", strconv.FormatInt(l.restocked, 10)})
	}
	return d
}

func (s *Simulator) taxParts(o *order, tax int64) []taxPartDoc {
	if o.spec.TaxRate == "" {
		return []taxPartDoc{}
	}
	return []taxPartDoc{{1, s.text(tax), s.text(tax)}}
}

func (s *Simulator) orderJSON(o *order) []byte {
	d := orderDoc{
		ID: o.id, Status: o.status, Currency: s.cfg.Currency, Version: version, Number: o.number,
		DateCreated: s.local(o.created), DateModified: s.local(o.updated), CreatedGMT: gmt(o.created), ModifiedGMT: gmt(o.updated),
		DateCompleted: maybe(o.completed, s.local), CompletedGMT: maybe(o.completed, gmt), DatePaid: maybe(o.paid, s.local), PaidGMT: maybe(o.paid, gmt),
		DiscountTax: s.text(0), ShippingTotal: s.text(o.shipping), ShippingTax: s.text(0), Total: s.text(o.total()),
		OrderKey: "wc_order_" + strconv.FormatInt(o.id, 36), Billing: o.spec.Billing.doc(true, o.spec.Customer), Shipping: o.spec.Shipping.doc(false, nil),
		PricesIncludeTax: o.spec.Included, PaymentMethod: "bacs", PaymentTitle: "Direct bank transfer", CreatedVia: "checkout", CustomerNote: o.spec.Note,
		Meta: append([]metaDoc{}, o.meta...), Lines: []lineDoc{}, TaxLines: []taxDoc{}, ShippingLines: []shipDoc{}, FeeLines: []feeDoc{},
		CouponLines: []couponDoc{}, Refunds: []orderRefundDoc{}, CurrencySymbol: "¤",
		PaymentURL: s.home() + "/checkout/order-pay/" + strconv.FormatInt(o.id, 10) + "/?pay_for_order=true",
		IsEditable: o.status == "pending" || o.status == "on-hold", NeedsPayment: o.status == "pending",
	}
	if o.spec.Customer != nil {
		d.CustomerID = o.spec.Customer.ID
	}
	var tax, off, coupon int64
	for _, l := range o.lines {
		d.Lines = append(d.Lines, s.lineDoc(o, l))
		tax += l.tax
		off += l.subtotal - l.total
		coupon += l.coupon
	}
	d.CartTax, d.TotalTax, d.DiscountTotal = s.text(tax), s.text(tax), s.text(off)
	if o.spec.TaxRate != "" {
		rate, _ := strconv.ParseFloat(o.spec.TaxRate, 64)
		d.TaxLines = append(d.TaxLines, taxDoc{
			ID: o.taxID, RateCode: "TAX-1", RateID: 1, Label: o.spec.TaxTitle, TaxTotal: s.text(tax), ShippingTax: s.text(0),
			RatePercent: float64(int64(rate*1e6+0.5)) / 1e4, Meta: []metaDoc{},
		})
	}
	if o.spec.Delivery != "" {
		d.ShippingLines = append(d.ShippingLines, shipDoc{ID: o.shippingID, MethodTitle: "Flat rate", MethodID: "flat_rate", InstanceID: "1", Total: s.text(o.shipping), TotalTax: s.text(0), Taxes: []taxPartDoc{}, Meta: []metaDoc{}})
	}
	for _, f := range o.fees {
		d.FeeLines = append(d.FeeLines, feeDoc{ID: f.id, Name: f.title, TaxStatus: "taxable", Total: s.text(f.total), TotalTax: s.text(0), Taxes: []taxPartDoc{}, Meta: []metaDoc{}})
	}
	if o.spec.DiscountCode != "" {
		d.CouponLines = append(d.CouponLines, couponDoc{ID: o.couponID, Code: o.spec.DiscountCode, Discount: s.text(coupon), DiscountTax: "0", Meta: []metaDoc{}, DiscountType: "fixed_cart"})
	}
	for _, r := range o.refunds {
		d.Refunds = append(d.Refunds, orderRefundDoc{r.id, r.reason, s.text(-r.total), s.text(0)})
	}
	return php(d)
}

type refundLineDoc struct {
	lineDoc
}

type refundDoc struct {
	ID            int64           `json:"id"`
	DateCreated   string          `json:"date_created"`
	CreatedGMT    string          `json:"date_created_gmt"`
	Amount        string          `json:"amount"`
	Reason        string          `json:"reason"`
	RefundedBy    int64           `json:"refunded_by"`
	Payment       bool            `json:"refunded_payment"`
	Meta          []metaDoc       `json:"meta_data"`
	Lines         []refundLineDoc `json:"line_items"`
	ShippingLines []shipDoc       `json:"shipping_lines"`
	TaxLines      []taxDoc        `json:"tax_lines"`
	FeeLines      []feeDoc        `json:"fee_lines"`
}

func (s *Simulator) refundJSON(r *refund) []byte {
	d := refundDoc{
		ID: r.id, DateCreated: s.local(r.at), CreatedGMT: gmt(r.at), Amount: s.text(r.total), Reason: r.reason, RefundedBy: 1, Payment: r.paid,
		Meta: append([]metaDoc{}, r.meta...), Lines: []refundLineDoc{}, ShippingLines: []shipDoc{}, TaxLines: []taxDoc{}, FeeLines: []feeDoc{},
	}
	for _, rl := range r.lines {
		l := s.lineDoc(r.order, rl.line)
		l.ID, l.Quantity = rl.id, -rl.quantity
		l.Subtotal, l.Total, l.SubtotalTax, l.TotalTax = s.text(-rl.minor), s.text(-rl.minor), s.text(-rl.tax), s.text(-rl.tax)
		l.Taxes = s.taxParts(r.order, -rl.tax)
		l.Meta = []metaDoc{{rl.id*100 + 3, "_refunded_item_id", strconv.FormatInt(rl.line.id, 10)}}
		d.Lines = append(d.Lines, refundLineDoc{l})
	}
	if r.shipping != 0 {
		d.ShippingLines = append(d.ShippingLines, shipDoc{
			ID: r.id * 1000, MethodTitle: "Flat rate", MethodID: "flat_rate", Total: s.text(-r.shipping), TotalTax: s.text(0), Taxes: []taxPartDoc{},
			Meta: []metaDoc{{r.id*1000 + 1, "_refunded_item_id", strconv.FormatInt(r.order.shippingID, 10)}},
		})
	}
	return php(d)
}

type namedDoc struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
}

type productDoc struct {
	ID           int64      `json:"id"`
	Name         string     `json:"name"`
	Permalink    string     `json:"permalink"`
	DateCreated  string     `json:"date_created"`
	CreatedGMT   string     `json:"date_created_gmt"`
	DateModified string     `json:"date_modified"`
	ModifiedGMT  string     `json:"date_modified_gmt"`
	Type         string     `json:"type"`
	Status       string     `json:"status"`
	SKU          string     `json:"sku"`
	GTIN         string     `json:"global_unique_id"`
	Price        string     `json:"price"`
	Regular      string     `json:"regular_price"`
	Sale         string     `json:"sale_price"`
	OnSale       bool       `json:"on_sale"`
	Virtual      bool       `json:"virtual"`
	Manage       bool       `json:"manage_stock"`
	Quantity     *int64     `json:"stock_quantity"`
	StockStatus  string     `json:"stock_status"`
	Backorders   string     `json:"backorders"`
	ParentID     int64      `json:"parent_id"`
	Categories   []namedDoc `json:"categories"`
	Brands       []namedDoc `json:"brands"`
	Variations   []int64    `json:"variations"`
	Meta         []metaDoc  `json:"meta_data"`
}

// productJSON is a product; v, when given, one of its variations as it stands in webhooks
// (full: its name is the product's and its own) and in lists of variations.
func (s *Simulator) productJSON(p *product, v *variant, full bool) []byte {
	d := productDoc{
		ID: p.id, Name: p.title, Permalink: s.home() + "/product/" + strconv.FormatInt(p.id, 10) + "/", DateCreated: s.local(p.created), CreatedGMT: gmt(p.created),
		DateModified: s.local(p.updated), ModifiedGMT: gmt(p.updated), Type: "simple", Status: "publish", StockStatus: "instock", Backorders: "no",
		Categories: []namedDoc{}, Brands: []namedDoc{}, Variations: []int64{}, Meta: []metaDoc{},
	}
	if p.trashed {
		d.Status = "trash"
	}
	if p.kind != "" {
		d.Categories = append(d.Categories, namedDoc{15, p.kind, "category"})
	}
	if p.vendor != "" {
		d.Brands = append(d.Brands, namedDoc{16, p.vendor, "brand"})
	}
	if p.variable {
		d.Type = "variable"
		for _, v := range p.variants {
			d.Variations = append(d.Variations, v.id)
		}
	} else if v == nil {
		v = p.variants[0]
	}
	if v != nil {
		d.SKU, d.GTIN, d.Price, d.Regular = v.sku, v.gtin, v.price.text, v.price.text
		if v.sale != "" {
			d.Sale, d.Price, d.OnSale = v.sale, v.sale, true
		}
		if v.tracked && !s.cfg.NoStockManagement {
			q := v.available
			d.Manage, d.Quantity = true, &q
			if q <= 0 {
				d.StockStatus = "outofstock"
			}
		}
	}
	if v != nil && p.variable {
		d.ID, d.Type, d.ParentID, d.Variations = v.id, "variation", p.id, []int64{}
		d.DateCreated, d.CreatedGMT, d.DateModified, d.ModifiedGMT = s.local(v.created), gmt(v.created), s.local(v.modified), gmt(v.modified)
		d.Categories, d.Brands = []namedDoc{}, []namedDoc{}
		if d.Name = v.title; full {
			d.Name = v.fullTitle()
		}
	}
	return php(d)
}

const version = "11.0.1"

// php encodes a document as PHP does: text beyond ASCII and slashes are escaped.
func php(doc any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		panic(err) // structs of texts and numbers
	}
	plain := bytes.TrimRight(buf.Bytes(), "\n")
	b := make([]byte, 0, len(plain)+64)
	for i := 0; i < len(plain); {
		c := plain[i]
		switch {
		case c == '/':
			b = append(b, '\\', '/')
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRune(plain[i:])
			i += n
			if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
				b = fmt.Appendf(b, `\u%04x\u%04x`, hi, lo)
			} else {
				b = fmt.Appendf(b, `\u%04x`, r)
			}
		}
	}
	return b
}
