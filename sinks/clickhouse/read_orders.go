package clickhouse

import (
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// ordersReader fills orders, order_history and refunds from orders.v1.
type ordersReader struct {
	m     event.Order
	buyer *pseudonym
	skus  map[string]*event.OrderLine

	status     *spelled[event.OrderStatus]
	payment    *spelled[event.PaymentStatus]
	fulfilment *spelled[event.FulfilmentStatus]
	rule       *spelled[event.MatchRule]
	restock    *spelled[event.Restock]
	path       *spelled[event.Path]

	orders  ordersRows
	history historyRows
	refunds refundsRows
}

type ordersRows struct {
	*rows
	account, orderID, connector, name, reference *word
	status, payment, fulfilment                  *word
	created, updated, cancelled                  *ints
	reason, currency                             *word
	subtotal, discounts, shipping, tax, platform *ints
	total, presentment                           *ints
	presentmentCurrency                          *word
	included                                     *flags
	units                                        *ints
	count                                        *uints32
	codes                                        *words
	buyer, country, region, postcode             *word
	parked, test                                 *flags
	lineID, listing, product, platformSKU, sku   *words
	rule, title                                  *words
	multiplier, quantity, fulfilled, removed     *numbers
	unscaled, lineTotal, lineDiscount, lineTax   *numbers
	scale                                        *small
	stocked                                      *marks
	lines                                        group
	origin                                       originCols
	source, received                             *ints
}

type historyRows struct {
	*rows
	account, orderID, status, payment, fulfilment *word
	created, updated                              *ints
	currency                                      *word
	total, units                                  *ints
	lines, refunds                                *uints32
	parked                                        *flags
	origin                                        originCols
	received                                      *ints
}

type refundsRows struct {
	*rows
	account, orderID, refundID, connector *word
	created, ordered                      *ints
	currency                              *word
	total, shipping                       *ints
	note, country                         *word
	test                                  *flags
	lineID, sku, restock                  *words
	multiplier, quantity, amount          *numbers
	lines                                 group
	origin                                originCols
}

// originCols say which raw record a fact comes from.
type originCols struct {
	topic     *word
	partition *ints32
	offset    *ints
	path      *word
}

func originOf(r *rows, path bool) originCols {
	o := originCols{topic: r.word("origin_topic"), partition: r.int32("origin_partition"), offset: r.int("origin_offset")}
	if path {
		o.path = r.word("origin_path")
	}
	return o
}

func (o originCols) add(from *event.Origin, path string) {
	o.topic.add(from.GetTopic())
	o.partition.add(from.GetPartition())
	o.offset.add(from.GetOffset())
	if o.path != nil {
		o.path.add(path)
	}
}

func newOrdersReader(buyer *pseudonym) *ordersReader {
	d := &ordersReader{
		buyer: buyer, skus: map[string]*event.OrderLine{},
		status:     spell[event.OrderStatus]("ORDER_STATUS"),
		payment:    spell[event.PaymentStatus]("PAYMENT_STATUS"),
		fulfilment: spell[event.FulfilmentStatus]("FULFILMENT_STATUS"),
		rule:       spell[event.MatchRule]("MATCH_RULE"),
		restock:    spell[event.Restock]("RESTOCK"),
		path:       spell[event.Path]("PATH"),
	}
	r := newRows("orders")
	o := ordersRows{
		rows: r, account: r.word("account"), orderID: r.text("order_id"), connector: r.word("connector"), name: r.text("name"), reference: r.text("reference"),
		status: r.word("status"), payment: r.word("payment_status"), fulfilment: r.word("fulfilment_status"),
		created: r.time("created_at"), updated: r.time("updated_at"), cancelled: r.time("cancelled_at"),
		reason: r.word("cancel_reason"), currency: r.word("currency"),
		subtotal: r.int("subtotal_minor"), discounts: r.int("discounts_minor"), shipping: r.int("shipping_minor"), tax: r.int("tax_minor"), platform: r.int("platform_tax_minor"),
		total: r.int("total_minor"), presentment: r.int("presentment_minor"), presentmentCurrency: r.word("presentment_currency"),
		included: r.flag("taxes_included"), units: r.int("units"), count: r.uint32("line_count"), codes: r.texts("discount_codes"),
		buyer: r.text("buyer"), country: r.word("country"), region: r.word("region"), postcode: r.word("postcode_prefix"),
		parked: r.flag("parked"), test: r.flag("test"),
		lineID: r.texts("lines.line_id"), listing: r.texts("lines.listing_id"), product: r.texts("lines.product_id"), platformSKU: r.texts("lines.platform_sku"), sku: r.texts("lines.sku"),
		multiplier: r.ints("lines.multiplier"), rule: r.words("lines.match_rule"), title: r.texts("lines.title"),
		quantity: r.ints("lines.quantity"), fulfilled: r.ints("lines.fulfilled"), removed: r.ints("lines.removed"),
		unscaled: r.ints("lines.unit_price_unscaled"), scale: r.ints32("lines.unit_price_scale"),
		lineTotal: r.ints("lines.total_minor"), lineDiscount: r.ints("lines.discount_minor"), lineTax: r.ints("lines.tax_minor"),
		stocked: r.flags("lines.stocked"), origin: originOf(r, true), source: r.time("source_time"), received: r.time("received_at"),
	}
	o.lines = group{o.lineID, o.listing, o.product, o.platformSKU, o.sku, o.multiplier, o.rule, o.title, o.quantity, o.fulfilled, o.removed, o.unscaled, o.scale, o.lineTotal, o.lineDiscount, o.lineTax, o.stocked}
	r.seal()
	d.orders = o

	r = newRows("order_history")
	d.history = historyRows{
		rows: r, account: r.word("account"), orderID: r.text("order_id"), status: r.word("status"), payment: r.word("payment_status"), fulfilment: r.word("fulfilment_status"),
		created: r.time("created_at"), updated: r.time("updated_at"), currency: r.word("currency"), total: r.int("total_minor"), units: r.int("units"),
		lines: r.uint32("line_count"), refunds: r.uint32("refund_count"), parked: r.flag("parked"), origin: originOf(r, true), received: r.time("received_at"),
	}
	r.seal()

	r = newRows("refunds")
	f := refundsRows{
		rows: r, account: r.word("account"), orderID: r.text("order_id"), refundID: r.text("refund_id"), connector: r.word("connector"),
		created: r.time("created_at"), ordered: r.time("order_created_at"), currency: r.word("currency"), total: r.int("total_minor"), shipping: r.int("shipping_minor"),
		note: r.text("note"), country: r.word("country"), test: r.flag("test"),
		lineID: r.texts("lines.order_line_id"), sku: r.texts("lines.sku"), multiplier: r.ints("lines.multiplier"), quantity: r.ints("lines.quantity"),
		amount: r.ints("lines.amount_minor"), restock: r.words("lines.restock"), origin: originOf(r, true),
	}
	f.lines = group{f.lineID, f.sku, f.multiplier, f.quantity, f.amount, f.restock}
	r.seal()
	d.refunds = f
	return d
}

func (d *ordersReader) tables() []*rows {
	return []*rows{d.orders.rows, d.history.rows, d.refunds.rows}
}

func (d *ordersReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Account == "" || m.Id == "" {
		return malformed("an order without account or id")
	}
	if err := times(m.CreatedMs, m.UpdatedMs, m.CancelledMs, m.Origin.GetSourceTimeMs(), m.Origin.GetReceivedMs()); err != nil {
		return err
	}
	for _, f := range m.Refunds {
		if err := times(f.CreatedMs); err != nil {
			return err
		}
	}
	c, err := c.with(r, m.Version)
	if err != nil {
		return err
	}
	if m.UpdatedMs != 0 {
		units := d.addLines(m)
		d.addOrder(m, c, units)
		d.addHistory(m, c, units)
	}
	// Else the order is only heard of: a refund came first. It has no time of creation, so its
	// row would stand in another partition than the order's own and never be replaced.
	for _, f := range m.Refunds {
		d.addRefund(m, f, c)
	}
	return nil
}

func (d *ordersReader) addLines(m *event.Order) (units int64) {
	o := &d.orders
	for _, l := range m.Lines {
		units += l.Quantity
		o.lineID.add(l.Id)
		o.listing.add(l.ListingId)
		o.product.add(l.ProductId)
		o.platformSKU.add(l.PlatformSku)
		o.sku.add(l.Resolution.GetSku())
		o.multiplier.add(l.Resolution.GetMultiplier())
		o.rule.add(d.rule.of(l.Resolution.GetRule()))
		o.title.add(l.Title)
		o.quantity.add(l.Quantity)
		o.fulfilled.add(l.Fulfilled)
		o.removed.add(l.Removed)
		o.unscaled.add(l.UnitPrice.GetUnscaled())
		o.scale.add(l.UnitPrice.GetScale())
		o.lineTotal.add(l.Total.GetMinor())
		o.lineDiscount.add(l.Discount.GetMinor())
		o.lineTax.add(sum(l.Taxes))
		o.stocked.add(l.Stocked)
	}
	o.lines.end()
	return units
}

func (d *ordersReader) addOrder(m *event.Order, c coordinates, units int64) {
	o := &d.orders
	o.account.add(m.Account)
	o.orderID.add(m.Id)
	o.connector.add(m.Connector)
	o.name.add(m.Name)
	o.reference.add(m.Reference)
	o.status.add(d.status.of(m.Status))
	o.payment.add(d.payment.of(m.PaymentStatus))
	o.fulfilment.add(d.fulfilment.of(m.FulfilmentStatus))
	o.created.add(m.CreatedMs)
	o.updated.add(m.UpdatedMs)
	o.cancelled.add(m.CancelledMs)
	o.reason.add(m.CancelReason)
	o.currency.add(m.Currency)
	o.subtotal.add(m.Subtotal.GetMinor())
	o.discounts.add(m.TotalDiscounts.GetMinor())
	o.shipping.add(m.TotalShipping.GetMinor())
	o.tax.add(m.TotalTax.GetMinor())
	var platform int64
	for _, t := range m.Taxes {
		if t.RemittedByPlatform {
			platform += t.Amount.GetMinor()
		}
	}
	o.platform.add(platform)
	o.total.add(m.Total.GetMinor())
	o.presentment.add(m.PresentmentTotal.GetMinor())
	o.presentmentCurrency.add(m.PresentmentTotal.GetCurrency())
	o.included.add(m.TaxesIncluded)
	o.units.add(units)
	o.count.add(uint32(len(m.Lines)))
	for _, x := range m.Discounts {
		if x.Code != "" {
			o.codes.add(x.Code)
		}
	}
	o.codes.end()
	o.buyer.add(d.buyer.of(m.Account, m.BuyerId))
	o.country.add(m.Destination.GetCountry())
	o.region.add(m.Destination.GetRegion())
	o.postcode.add(m.Destination.GetPostcodePrefix())
	o.parked.add(m.Parked)
	o.test.add(m.Test)
	o.origin.add(m.Origin, d.path.of(m.Origin.GetPath()))
	o.source.add(m.Origin.GetSourceTimeMs())
	o.received.add(m.Origin.GetReceivedMs())
	o.at(c)
}

func (d *ordersReader) addHistory(m *event.Order, c coordinates, units int64) {
	h := &d.history
	h.account.add(m.Account)
	h.orderID.add(m.Id)
	h.status.add(d.status.of(m.Status))
	h.payment.add(d.payment.of(m.PaymentStatus))
	h.fulfilment.add(d.fulfilment.of(m.FulfilmentStatus))
	h.created.add(m.CreatedMs)
	h.updated.add(m.UpdatedMs)
	h.currency.add(m.Currency)
	h.total.add(m.Total.GetMinor())
	h.units.add(units)
	h.lines.add(uint32(len(m.Lines)))
	h.refunds.add(uint32(len(m.Refunds)))
	h.parked.add(m.Parked)
	h.origin.add(m.Origin, d.path.of(m.Origin.GetPath()))
	h.received.add(m.Origin.GetReceivedMs())
	h.at(c)
}

func (d *ordersReader) addRefund(m *event.Order, f *event.Refund, c coordinates) {
	if len(f.Lines) > 0 {
		clear(d.skus)
		for _, l := range m.Lines {
			d.skus[l.Id] = l
		}
	}
	t := &d.refunds
	t.account.add(m.Account)
	t.orderID.add(m.Id)
	t.refundID.add(f.Id)
	t.connector.add(m.Connector)
	t.created.add(f.CreatedMs)
	t.ordered.add(m.CreatedMs)
	currency := f.Total.GetCurrency()
	if currency == "" {
		currency = m.Currency
	}
	t.currency.add(currency)
	t.total.add(f.Total.GetMinor())
	t.shipping.add(f.Shipping.GetMinor())
	t.note.add(f.Note)
	t.country.add(m.Destination.GetCountry())
	t.test.add(m.Test)
	for _, l := range f.Lines {
		of := d.skus[l.OrderLineId]
		t.lineID.add(l.OrderLineId)
		t.sku.add(of.GetResolution().GetSku())
		t.multiplier.add(of.GetResolution().GetMultiplier())
		t.quantity.add(l.Quantity)
		t.amount.add(l.Amount.GetMinor())
		t.restock.add(d.restock.of(l.Restock))
	}
	t.lines.end()
	origin := f.Origin
	if origin == nil {
		origin = m.Origin
	}
	t.origin.add(origin, d.path.of(origin.GetPath()))
	t.at(c)
}

func (d *ordersReader) removed(key string) ([]removal, error) {
	where, err := key2(key, "account", "order_id")
	if err != nil {
		return nil, err
	}
	return []removal{{"orders", where}, {"order_history", where}, {"refunds", where}}, nil
}

func sum(taxes []*event.Tax) (minor int64) {
	for _, t := range taxes {
		minor += t.Amount.GetMinor()
	}
	return minor
}
