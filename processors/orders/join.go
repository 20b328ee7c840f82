package orders

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/helloword/crossdock/schemas/event"
)

// join returns the order with the input joined to it, or nil when that changes nothing. Its
// version is its own, to be set. Four independent joins make up the order: the newest
// snapshot, the union of refunds, the oldest mapping of each line, and whether its buyer was
// forgotten. Neither argument is
// modified, except that with take a snapshot that wins is the order that is returned.
func join(old *event.Order, in said, take bool) *event.Order {
	j := joining{old: old, take: take}
	switch {
	case in.snapshot != nil:
		j.snapshot(in.snapshot)
	case in.refund != nil:
		j.identify(in.refund.Connector, in.refund.Account, in.refund.OrderId)
		j.refund(in.refund)
	case in.resolved != nil:
		j.identify("", in.resolved.Account, in.resolved.OrderId)
		j.resolution(in.resolved.ListingId, in.resolved.Resolution)
	case in.forget != nil:
		j.identify("", in.forget.Account, in.forget.OrderId)
		j.forget(in.forget)
	}
	return j.result()
}

// joining is one join under way.
type joining struct {
	old  *event.Order
	take bool
	// base is the snapshot that wins: old, or the new one.
	base        *event.Order
	newer       bool
	refunds     []*event.Refund
	refunded    bool // refunds differ from old's
	resolutions []known
	resolved    bool
	forgottenMs int64
	forgotten   bool // forgottenMs differs from old's
	connector   string
	account, id string
}

// known is one SKU that one listing was said to mean.
type known struct {
	listing    string
	resolution *event.Resolution
}

func (j *joining) identify(connector, account, id string) {
	j.base = j.old
	j.connector, j.account, j.id = connector, account, id
	j.start(1)
}

// start collects what old knows. more lines come.
func (j *joining) start(more int) {
	j.refunds, j.forgottenMs = j.old.GetRefunds(), j.old.GetForgottenMs()
	j.resolutions = make([]known, 0, len(j.old.GetLines())+len(j.old.GetKnown())+more)
	if j.old == nil {
		return
	}
	for _, l := range j.old.Lines {
		if l.Resolution.GetSku() != "" && !j.knows(listingOf(l), l.Resolution) {
			j.resolutions = append(j.resolutions, known{listingOf(l), l.Resolution})
		}
	}
	for _, k := range j.old.Known {
		j.resolutions = append(j.resolutions, known{k.ListingId, k.Resolution})
	}
}

func (j *joining) snapshot(s *event.Order) {
	j.start(len(s.Lines))
	j.base, j.newer = j.old, false
	if j.old == nil || newer(s, j.old) {
		j.base, j.newer = s, true
	}
	for _, r := range s.Refunds {
		j.refund(r)
	}
	for _, l := range s.Lines {
		j.resolution(listingOf(l), l.Resolution)
	}
}

// refund unites. Of two states of one refund the one with the greater canonical bytes
// stays: an arbitrary rule, but the same everywhere.
func (j *joining) refund(r *event.Refund) {
	at, found := slices.BinarySearchFunc(j.refunds, r, compareRefundIDs)
	if found && compareRefunds(r, j.refunds[at]) <= 0 {
		return
	}
	if !j.refunded {
		j.refunds, j.refunded = slices.Clone(j.refunds), true
	}
	if found {
		j.refunds[at] = r
	} else {
		j.refunds = slices.Insert(j.refunds, at, r)
	}
}

func compareRefundIDs(a, b *event.Refund) int { return cmp.Compare(a.Id, b.Id) }

// compareRefunds compares contents: where a refund was heard of is not part of it. The note
// counts last, because it is what is taken out when a buyer is forgotten: which of two refunds
// stays must not depend on whether that was before or after.
func compareRefunds(a, b *event.Refund) int {
	return cmp.Or(bytes.Compare(refundBytes(a), refundBytes(b)), cmp.Compare(a.Note, b.Note))
}

func refundBytes(r *event.Refund) []byte {
	c := &event.Refund{
		OrderId: r.OrderId, Id: r.Id, CreatedMs: r.CreatedMs,
		Lines: r.Lines, Total: r.Total, Shipping: r.Shipping,
	}
	b, err := c.MarshalVTStrict()
	if err != nil {
		panic(err) // unreachable: a buffer of the message's own size
	}
	return b
}

// resolution adds a SKU that a listing was said to mean. All are kept, each with its oldest
// mapping; which of them a line takes is decided by result.
func (j *joining) resolution(listing string, r *event.Resolution) {
	if r.GetSku() == "" || j.knows(listing, r) {
		return
	}
	j.resolved = true
	for i := range j.resolutions {
		if k := &j.resolutions[i]; k.listing == listing && k.resolution.Sku == r.Sku {
			k.resolution = r
			return
		}
	}
	j.resolutions = append(j.resolutions, known{listing, r})
}

// knows: that the listing means this SKU is known, and by a mapping no younger.
func (j *joining) knows(listing string, r *event.Resolution) bool {
	for i := range j.resolutions {
		if k := &j.resolutions[i]; k.listing == listing && k.resolution.Sku == r.Sku {
			return compareResolutions(k.resolution, r) <= 0
		}
	}
	return false
}

// compareResolutions puts the one to be preferred first: the oldest mapping; the rest only
// makes the order total.
func compareResolutions(a, b *event.Resolution) int {
	return cmp.Or(
		cmp.Compare(a.MappingVersion, b.MappingVersion),
		cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Sku, b.Sku),
		cmp.Compare(a.Multiplier, b.Multiplier),
	)
}

// sameResolution: a line that has the one needs no copy to get the other.
func sameResolution(a, b *event.Resolution) bool {
	return a == b || a != nil && b != nil && compareResolutions(a, b) == 0
}

// preferred is the resolution that the listing's lines take, nil when none is known.
func (j *joining) preferred(listing string) *event.Resolution {
	var best *event.Resolution
	for i := range j.resolutions {
		if k := &j.resolutions[i]; k.listing == listing && (best == nil || compareResolutions(k.resolution, best) < 0) {
			best = k.resolution
		}
	}
	return best
}

// result builds the joined order; nil when nothing changed.
func (j *joining) result() *event.Order {
	if !j.newer && !j.refunded && !j.resolved && !j.forgotten {
		return nil
	}
	var o *event.Order
	// own: the lines are not anybody else's.
	own := j.take && j.newer
	if own {
		o = j.base
	} else {
		o = shallow(j.base)
		o.Version = nil
	}
	if o.Version == nil {
		o.Version = new(event.Version)
	}
	if j.base == nil {
		o.Connector, o.Account, o.Id = j.connector, j.account, j.id
	} else if o.Connector == "" {
		o.Connector = j.connector
	}
	o.Refunds, o.ForgottenMs = j.refunds, j.forgottenMs
	if j.forgotten {
		nameless(o)
	}
	o.Parked = false
	for i, l := range o.Lines {
		best := j.preferred(listingOf(l))
		if !sameResolution(best, l.Resolution) {
			if !own {
				o.Lines, own = slices.Clone(o.Lines), true
			}
			o.Lines[i] = withResolution(l, best)
		}
		if l.Stocked && best == nil {
			o.Parked = true
		}
	}
	o.Known = j.remaining(o.Lines)
	return o
}

// remaining is what is known beyond what the lines show, in a fixed order.
func (j *joining) remaining(lines []*event.OrderLine) []*event.LineResolved {
	var rest []*event.LineResolved
next:
	for _, k := range j.resolutions {
		for _, l := range lines {
			if l.Resolution.GetSku() == k.resolution.Sku && listingOf(l) == k.listing {
				continue next
			}
		}
		rest = append(rest, &event.LineResolved{ListingId: k.listing, Resolution: k.resolution})
	}
	slices.SortFunc(rest, func(a, b *event.LineResolved) int {
		return cmp.Or(cmp.Compare(a.ListingId, b.ListingId), cmp.Compare(a.Resolution.Sku, b.Resolution.Sku))
	})
	return rest
}

// newer reports whether snapshot s replaces the snapshot in the order o. An order that was
// only heard of (a refund came first) has none. Platforms tell the time of change in whole
// seconds, so that two states of one second are common: of those the one that is further
// along is the newer. Canonical bytes decide what is left, so that the order is total: first
// those that stay when the buyer is forgotten, so that the same one wins before and after.
func newer(s, o *event.Order) bool {
	if c := cmp.Compare(s.UpdatedMs, o.UpdatedMs); c != 0 {
		return c > 0
	}
	a, b := progressOf(s), progressOf(o)
	if c := slices.Compare(a[:], b[:]); c != 0 {
		return c > 0
	}
	if c := bytes.Compare(namelessBytes(s), namelessBytes(o)); c != 0 {
		return c > 0
	}
	return bytes.Compare(snapshotBytes(s), snapshotBytes(o)) > 0
}

// namelessBytes encodes what a snapshot says itself and nobody is named by.
func namelessBytes(s *event.Order) []byte {
	c := shallow(s)
	nameless(c)
	return snapshotBytes(c)
}

// progressOf measures how far along an order is, the most final first. Lines and units are
// ordered and only ever added: what is taken out again stays as removed.
func progressOf(o *event.Order) (p [8]int64) {
	if o.CancelledMs != 0 || o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED {
		p[0] = 1
	}
	for _, l := range o.Lines {
		p[1] += l.Fulfilled
		p[2] += l.Removed
		p[4] += l.Quantity
	}
	p[3] = int64(len(o.Lines))
	p[5], p[6], p[7] = int64(o.PaymentStatus), int64(o.FulfilmentStatus), int64(o.Status)
	return p
}

// snapshotBytes encodes what a snapshot says itself: neither what was joined to it (SKUs,
// refunds) nor how it came.
func snapshotBytes(s *event.Order) []byte {
	c := shallow(s)
	c.Version, c.Origin, c.Parked, c.Known, c.Refunds, c.ForgottenMs = nil, nil, false, nil, nil, 0
	c.Lines = slices.Clone(c.Lines)
	for i, l := range c.Lines {
		if l.Resolution != nil {
			c.Lines[i] = withResolution(l, nil)
		}
	}
	b, err := c.MarshalVTStrict()
	if err != nil {
		panic(err) // unreachable: a buffer of the message's own size
	}
	return b
}

// listingOf names what was bought: the listing, or the SKU text of a line that has lost its
// listing. The translate room names it the same way when it asks for its SKU.
func listingOf(l *event.OrderLine) string {
	if l.ListingId != "" {
		return l.ListingId
	}
	return "sku:" + l.PlatformSku
}

// shallow copies an order's own fields; what they point to is shared.
func shallow(o *event.Order) *event.Order {
	if o == nil {
		return new(event.Order)
	}
	return &event.Order{
		Connector: o.Connector, Account: o.Account, Id: o.Id, Name: o.Name,
		UpdatedMs: o.UpdatedMs, CreatedMs: o.CreatedMs, CancelledMs: o.CancelledMs,
		Status: o.Status, PaymentStatus: o.PaymentStatus, FulfilmentStatus: o.FulfilmentStatus,
		Currency: o.Currency, PresentmentTotal: o.PresentmentTotal,
		Lines: o.Lines, ShippingLines: o.ShippingLines, Discounts: o.Discounts, Taxes: o.Taxes,
		TaxesIncluded: o.TaxesIncluded, Subtotal: o.Subtotal, TotalDiscounts: o.TotalDiscounts,
		TotalShipping: o.TotalShipping, TotalTax: o.TotalTax, Total: o.Total,
		BuyerId: o.BuyerId, Destination: o.Destination, Personal: o.Personal,
		Refunds: o.Refunds, CancelReason: o.CancelReason, Test: o.Test, Reference: o.Reference,
		Version: o.Version, Parked: o.Parked, Origin: o.Origin, Known: o.Known,
		ForgottenMs: o.ForgottenMs, PersonalUntilMs: o.PersonalUntilMs,
	}
}

// withResolution copies a line with another resolution.
func withResolution(l *event.OrderLine, r *event.Resolution) *event.OrderLine {
	return &event.OrderLine{
		Id: l.Id, ListingId: l.ListingId, ProductId: l.ProductId, PlatformSku: l.PlatformSku,
		Title: l.Title, Quantity: l.Quantity, Fulfilled: l.Fulfilled, Removed: l.Removed,
		UnitPrice: l.UnitPrice, Total: l.Total, Discount: l.Discount, Taxes: l.Taxes,
		Stocked: l.Stocked, Resolution: r,
	}
}
