package amazon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// refunder gives money back, by the feed of adjustments: one message for each item, so that the
// report says of each whether it was done.
//
// No refund is made twice. feeder writes down what is sent; what is left is a createFeed of which
// nobody knows whether it made a feed. Orders say nothing of refunds, the books (finances.go) do
// so two days late, and a feed carries no mark of ours that getFeeds would show. So:
//   - One createFeed of a refund is under way at a time in an account (turn): its document was
//     asked for after the feed before it was made, and the next one waits while it is open. A feed
//     of this type in Amazon's list that was made from then on is therefore its own.
//   - One feed found: it is taken for ours, and its report must account for exactly our messages.
//   - None: it is looked for until settleTime is over, which is far longer than a call lasts. Then
//     it was not made, and is sent anew.
//   - Several: somebody else sends such feeds, too, and a person has to look.
//
// A feed that Amazon gives up in the middle (FATAL), one that it does not know any more, a report
// that is not about our messages, and a refund of which only some items were done stay Unknown,
// unless the books show the refund. They are never sent again.
type refunder struct{ feeder }

// component is a Type of BuyerPrice (amzn-base.xsd) that is refunded.
type component int

const (
	compPrincipal component = iota
	compTax
	compShipping
	compShippingTax
	compGift
	components
)

var componentNames = [components]string{"Principal", "Tax", "Shipping", "ShippingTax", "GiftWrap"}

// part is what is given back of one item, in the smallest units of the order's currency.
type part struct {
	Item string            `json:"item"`
	By   [components]int64 `json:"by"`
}

// soldItem is what was paid for an item, and what of it was not given back.
type soldItem struct {
	id              string
	units, shipped  int64
	paid, remaining [components]int64
}

// soldOrder is what decides a refund.
type soldOrder struct {
	market, currency string
	items            []*soldItem
}

// Codes of refunds.
const (
	codeAmount      = "AMOUNT"
	codeCurrency    = "CURRENCY"
	codeNoLine      = "UNKNOWN_LINE"
	codeMoreThan    = "MORE_THAN_LEFT"
	codeUnshipped   = "UNSHIPPED"
	codeSeveral     = "SEVERAL_FEEDS"
	codePartly      = "PARTLY"
	codeRoleMissing = "ROLE_MISSING"
)

// PushRefund gives an amount back: of the lines that are named, or of all; of the goods first,
// then of shipping, then of gift wrap. Without an amount it is what was paid for the units of the
// lines. What is put back on the shelf is not Amazon's to say.
func (f *refunder) PushRefund(ctx context.Context, w connectors.RefundWrite) (connectors.Result, error) {
	switch {
	case w.OrderID == "" || w.CommandID == "":
		return refused(codeInvalid, "a refund needs an order and a command"), nil
	case w.Amount == nil && len(w.Lines) == 0, w.Amount != nil && w.Amount.GetMinor() <= 0:
		return refused(codeAmount, "a refund needs an amount above zero, or lines"), nil
	}
	b, unlock, err := f.open(ctx, w.OrderID)
	if err != nil {
		return asked(err)
	}
	defer unlock()
	s := b.Journal[w.CommandID]
	if s == nil {
		return f.hand(ctx, b, w)
	}
	if r := s.answer(); r != nil {
		return *r, nil
	}
	if s.Feed == "" {
		again, r, err := f.look(ctx, b, w.CommandID, s)
		switch {
		case again:
			return f.hand(ctx, b, w)
		case s.Feed == "":
			return r, err
		}
	}
	end, v, err := f.follow(ctx, w.CommandID, s, connectors.Normal)
	switch {
	case err != nil:
		return f.unread(s, err)
	case end == feedPending:
		return unsettled(codeProgress, f.patience(s.At), "feed "+s.Feed+" is not processed yet"), nil
	case end == feedWithdrawn:
		return b.end(ctx, s, refused(codeWithdrawn, "feed "+s.Feed+" was cancelled before Amazon began it")), nil
	case end == feedJudged && v.doubt == "" && v.failed == 0:
		return b.end(ctx, s, done("", "feed "+s.Feed)), nil
	case end == feedJudged && v.doubt == "" && v.done == 0:
		return b.end(ctx, s, refused(v.why())), nil
	case end == feedJudged && v.doubt == "":
		return f.partly(ctx, b, s, v), nil
	}
	return f.witness(ctx, b, w, s, end, v)
}

// partly is a refund of which some items were done: what failed was not given back.
func (f *refunder) partly(ctx context.Context, b *book, s *sending, v verdict) connectors.Result {
	_, text := v.why()
	failed := ""
	for _, i := range v.failedAt {
		failed += " " + s.Parts[i].Item
		s.Parts[i].By = [components]int64{}
	}
	return b.stick(ctx, s, codePartly, calls.Clip(fmt.Sprintf("Amazon refunded %d items of feed %s and not%s: %s", v.done, s.Feed, failed, text)))
}

// witness asks the books about a feed that says nothing certain. They can show that the refund
// was made, and never that it was not.
func (f *refunder) witness(ctx context.Context, b *book, w connectors.RefundWrite, s *sending, end feedEnd, v verdict) (connectors.Result, error) {
	code, text := codeBroken, "Amazon gave feed "+s.Feed+" up, and may have done some of it"
	switch {
	case end == feedGone:
		code, text = codeGone, "Amazon does not know feed "+s.Feed+" any more"
	case end == feedJudged:
		code, text = codeDoubt, "the report of feed "+s.Feed+" is in doubt: "+v.doubt
	}
	currency := ""
	if o, err := f.orderNow(ctx, w.OrderID, orderData, connectors.Normal); err == nil {
		if order, err := sold(o); err == nil {
			currency = order.currency
		}
	}
	known, err := f.givenBack(ctx, w.OrderID, currency)
	if err == nil {
		want := int64(0)
		for _, p := range s.Parts {
			want += p.By[compPrincipal]
		}
		for _, g := range known {
			if g.told && g.goods == want && !slices.Contains(s.Before, g.id) {
				return b.end(ctx, s, done("", "Amazon's books show it as "+g.id)), nil
			}
		}
	}
	return unsettled(code, personPause, text+": look at the order in Seller Central before it is refunded once more"), nil
}

// turn says whose createFeed of a refund was the last, in an account.
type turn struct {
	// Command of which it is not known what became; "" = none.
	Command string    `json:"command,omitempty"`
	At      time.Time `json:"at,omitzero"`
	// Last is the feed that was made last.
	Last string `json:"last,omitempty"`
}

// turns is the register of them, under its lock.
type turns struct {
	calls.Journal[turn]
	name string
}

func (f *refunder) turns(ctx context.Context) (*turns, func(), error) {
	t := &turns{name: "amazon/" + f.deps.Account + "/feeds"}
	unlock, err := f.deps.Tokens.Lock(ctx, t.name)
	if err != nil {
		return nil, nil, calls.Unsent(fmt.Errorf("locking the refunds of %s: %w", f.deps.Account, err))
	}
	if t.Journal, err = calls.LoadJournal[turn](ctx, f.deps.Tokens, t.name, "look whether a refund is on its way"); err != nil {
		unlock()
		return nil, nil, calls.Unsent(err)
	}
	return t, unlock, nil
}

// release lets others have their turn. Where it fails they wait until settleTime is over.
func (f *refunder) release(ctx context.Context, t *turns, feed string) {
	last := t.Journal[feedRefund]
	last.Command, last.At = "", time.Time{}
	if feed != "" {
		last.Last = feed
	}
	t.Journal[feedRefund] = last
	if err := t.Save(ctx, f.deps.Tokens, t.name); err != nil {
		f.deps.Log.Warn("other refunds wait longer than they need", "err", err)
	}
}

// Of the time in which a feed of ours was made: it is not before its document was asked for, but
// for clocks of Amazon's that differ, and not later than a call lasts.
const (
	clocksDiffer = 2 * time.Second
	madeWithin   = 10 * time.Minute
)

// look finds the feed of an attempt without an answer, and writes its name into s. again says that
// it was not made. Otherwise the result is what is known of it.
func (f *refunder) look(ctx context.Context, b *book, command string, s *sending) (again bool, r connectors.Result, err error) {
	t, unlock, err := f.turns(ctx)
	if err != nil {
		r, err = f.unread(s, err)
		return false, r, err
	}
	defer unlock()
	from, until := s.Since.Add(-clocksDiffer), s.Since.Add(madeWithin)
	listed, err := f.feeds(ctx, feedRefund, from, until)
	if err != nil {
		r, err = f.unread(s, err)
		return false, r, err
	}
	var found []string
	for _, m := range listed {
		made, ok := jsonread.Instant(m.Created)
		at := time.UnixMilli(made)
		if m.Kind != feedRefund || ok && (at.Before(from) || at.After(until)) || m.ID == "" || m.ID == t.Journal[feedRefund].Last {
			continue
		}
		if !slices.Contains(found, m.ID) {
			found = append(found, m.ID)
		}
	}
	switch {
	case len(found) > 1:
		return false, b.stick(ctx, s, codeSeveral, fmt.Sprintf("of the feeds %v one may be this refund: look at the order in Seller Central", found)), nil
	case len(found) == 1:
		b.made(ctx, s, found[0])
		if t.Journal[feedRefund].Command == command {
			f.release(ctx, t, found[0])
		}
		return false, r, nil
	case f.age(s.At) < settleTime:
		return false, unsettled(codeSettling, min(f.patience(s.At), settleTime-f.age(s.At)), "it may have been sent, and is not in Amazon's list of feeds"), nil
	}
	return true, r, nil
}

// hand works out the refund and sends it.
func (f *refunder) hand(ctx context.Context, b *book, w connectors.RefundWrite) (connectors.Result, error) {
	before := b.Journal[w.CommandID] // of an attempt that made no feed
	delete(b.Journal, w.CommandID)
	o, err := f.orderNow(ctx, w.OrderID, orderData, connectors.Normal)
	if err != nil {
		return asked(err)
	}
	switch status := o.Fulfilment.Status; {
	case o.Fulfilment.By == byAmazon:
		return refused(codeAmazon, "Amazon ships this order itself, and refunds it"), nil
	case status == statusCancelled:
		return refused(status, "a cancelled order was not paid for"), nil
	case o.waits():
		return later(status, pendingPause, "the order is not paid yet"), nil
	case !o.shipped():
		return later(codeUnshipped, pendingPause, "Amazon charges the buyer when the order is shipped: nothing can be refunded before, only cancelled"), nil
	}
	order, err := sold(o)
	if err != nil {
		return refused("MALFORMED", calls.Clip(err.Error())), nil
	}
	known, err := f.givenBack(ctx, w.OrderID, order.currency)
	switch {
	case errors.Is(err, errRole):
		return refused(codeRoleMissing, "whether it was refunded before cannot be asked: give the application the role Finance and Accounting, authorise it again, and send a new request"), nil
	case err != nil && !errors.Is(err, errNotFound):
		return asked(err)
	}
	parts, no := order.share(b.Journal, known, w)
	if no != nil {
		return *no, nil
	}
	messages, err := order.messages(w, parts)
	if err != nil {
		return refused(codeAmount, err.Error()), nil
	}
	content, err := feedDocument(f.cfg.SellerID, feedRefund, messages)
	if err != nil {
		return asked(err)
	}
	t, unlock, err := f.turns(ctx)
	if err != nil {
		return asked(err)
	}
	defer unlock()
	if open := t.Journal[feedRefund]; open.Command != "" && open.Command != w.CommandID && f.age(open.At) < settleTime {
		return later(codeSettling, settleTime-f.age(open.At), "of another refund it is not known yet whether it was sent"), nil
	}
	at, since, err := f.prepare(ctx, content, connectors.Normal)
	if err != nil {
		return outcome(err), whole(err)
	}
	s := &sending{Kind: feedRefund, At: f.deps.Now().UTC(), Since: since, Messages: len(messages), Sent: 1, Parts: parts}
	if before != nil {
		s.Sent = before.Sent + 1
	}
	for _, g := range known {
		s.Before = append(s.Before, g.id)
	}
	mine := t.Journal[feedRefund]
	mine.Command, mine.At = w.CommandID, s.At
	t.Journal[feedRefund] = mine
	if err := t.Save(ctx, f.deps.Tokens, t.name); err != nil {
		return asked(err)
	}
	if err := b.begin(ctx, w.CommandID, s); err != nil {
		return asked(err)
	}
	feed, err := f.create(ctx, s, order.market, at, connectors.Normal)
	switch {
	case calls.IsUnsent(err):
		b.undo(ctx, w.CommandID, nil)
		f.release(ctx, t, "")
		return outcome(err), whole(err)
	case err != nil:
		return f.unread(s, err)
	}
	b.made(ctx, s, feed)
	f.release(ctx, t, feed)
	return unsettled(codeProgress, f.patience(s.At), "feed "+feed+" is handed in"), nil
}

// sold reads what was paid for each item, as the translator does. Tax that lies within the prices
// is part of them (https://github.com/amzn/selling-partner-api-docs/issues/767), and tax that
// Amazon itself collects is Amazon's to give back.
func sold(o *orderNow) (*soldOrder, error) {
	t := &translation{r: jsonread.New(o.node)}
	order := t.order()
	t.r.End()
	if err := t.r.Err(); err != nil {
		return nil, fmt.Errorf("reading what was paid: %w", err)
	}
	all := &soldOrder{market: o.Channel.Marketplace, currency: order.Currency}
	for i, m := range t.items {
		l := order.Lines[i]
		item := &soldItem{id: l.Id, units: l.Quantity, shipped: l.Fulfilled}
		item.paid[compPrincipal] = m.by[catItem] - m.by[catDiscount] + m.shippingDiscount
		item.paid[compShipping] = m.by[catShipping] - m.shippingDiscount
		item.paid[compGift] = m.by[catGift]
		if !order.TaxesIncluded && !m.remitted {
			item.paid[compTax] = m.by[catTax] - m.shippingTax
			item.paid[compShippingTax] = m.shippingTax
		}
		for c := range item.paid {
			item.paid[c] = max(0, item.paid[c])
		}
		item.remaining = item.paid
		all.items = append(all.items, item)
	}
	return all, nil
}

// cell is one component of one item, and how much of it may be taken.
type cell struct {
	item *soldItem
	at   component
	room int64
}

// share spreads a refund over items and components. What other commands gave back, or may have,
// is not there any more; what the books tell beyond that was given back by somebody else.
func (o *soldOrder) share(journal map[string]*sending, known []givenBack, w connectors.RefundWrite) ([]part, *connectors.Result) {
	no := func(r connectors.Result) ([]part, *connectors.Result) { return nil, &r }
	ours, goods, books := int64(0), int64(0), int64(0)
	for _, s := range journal {
		if s.Kind != feedRefund || s.Over && !s.Done {
			continue
		}
		for _, p := range s.Parts {
			ours += p.By[compPrincipal]
			if i := o.item(p.Item); i != nil {
				for c := range p.By {
					i.remaining[c] = max(0, i.remaining[c]-p.By[c])
				}
			}
		}
	}
	for _, g := range known {
		books += g.goods
	}
	for _, i := range o.items {
		goods += i.remaining[compPrincipal]
	}
	units := map[string]int64{}
	for _, l := range w.Lines {
		i := o.item(l.LineID)
		if i == nil || l.Quantity < 1 || units[l.LineID]+l.Quantity > i.units {
			return no(refused(codeNoLine, fmt.Sprintf("the order has no %d units of line %q", l.Quantity, calls.Clip(l.LineID))))
		}
		if i.shipped == 0 {
			return no(later(codeUnshipped, pendingPause, "line "+i.id+" is not shipped, so that it was not paid for"))
		}
		units[l.LineID] += l.Quantity
	}
	// Tiers are emptied one after another, each in proportion.
	var tiers [4][]cell
	for _, i := range o.items {
		n := units[i.id]
		if i.shipped == 0 || len(w.Lines) > 0 && n == 0 {
			continue
		}
		for _, c := range []component{compPrincipal, compTax} {
			first := i.remaining[c]
			if n > 0 {
				part, err := money.MulDiv(i.paid[c], n, i.units)
				if err != nil {
					return no(refused(codeAmount, err.Error()))
				}
				first = min(first, part)
			}
			tiers[0] = append(tiers[0], cell{i, c, first})
			tiers[1] = append(tiers[1], cell{i, c, i.remaining[c] - first})
		}
		tiers[2] = append(tiers[2], cell{i, compShipping, i.remaining[compShipping]}, cell{i, compShippingTax, i.remaining[compShippingTax]})
		tiers[3] = append(tiers[3], cell{i, compGift, i.remaining[compGift]})
	}
	amount := roomOf(tiers[0])
	if w.Amount != nil {
		if w.Amount.GetCurrency() != o.currency {
			return no(refused(codeCurrency, fmt.Sprintf("the order was paid in %s, not %s", o.currency, calls.Clip(w.Amount.GetCurrency()))))
		}
		amount = w.Amount.GetMinor()
	}
	left := amount
	given := map[*soldItem]*part{}
	for _, tier := range tiers {
		taken, err := take(tier, left)
		if err != nil {
			return no(refused(codeAmount, err.Error()))
		}
		for i, c := range tier {
			if taken[i] == 0 {
				continue
			}
			if given[c.item] == nil {
				given[c.item] = &part{Item: c.item.id}
			}
			given[c.item].By[c.at] += taken[i]
			left -= taken[i]
		}
	}
	var parts []part
	principal := int64(0)
	for _, i := range o.items {
		if p := given[i]; p != nil {
			parts = append(parts, *p)
			principal += p.By[compPrincipal]
		}
	}
	switch elsewhere := max(0, books-ours); {
	case left > 0 || principal > goods-elsewhere:
		return no(refused(codeMoreThan, fmt.Sprintf("%d smallest units of %s are more than is left of what was paid for these lines", amount, o.currency)))
	case len(parts) == 0:
		return no(refused(codeMoreThan, "nothing is left of what was paid for these lines"))
	case len(parts) > maxMessages:
		return no(refused(codeNoLine, fmt.Sprintf("%d items in one refund, %d are taken", len(parts), maxMessages)))
	}
	return parts, nil
}

func (o *soldOrder) item(id string) *soldItem {
	for _, i := range o.items {
		if i.id == id {
			return i
		}
	}
	return nil
}

func roomOf(tier []cell) (sum int64) {
	for _, c := range tier {
		sum += c.room
	}
	return sum
}

// take takes an amount out of a tier: all of it when it is not more than that, otherwise in
// proportion to what is there, to the smallest unit.
func take(tier []cell, amount int64) ([]int64, error) {
	rooms := make([]int64, len(tier))
	for i, c := range tier {
		rooms[i] = c.room
	}
	switch {
	case amount >= roomOf(tier):
		return rooms, nil
	case amount == 0:
		return make([]int64, len(tier)), nil
	}
	return money.Allocate(amount, rooms)
}

// messages writes the parts, one message each.
func (o *soldOrder) messages(w connectors.RefundWrite, parts []part) (all []feedMessage, err error) {
	for n, p := range parts {
		item := adjustedItem{Code: p.Item, Own: fmt.Sprintf("%s-%d", w.CommandID, n+1), Reason: refundReason(w.Restock)}
		for c, minor := range p.By {
			if minor == 0 {
				continue
			}
			text, err := money.Format(provider, &event.Money{Minor: minor, Currency: o.currency})
			if err != nil {
				return nil, fmt.Errorf("item %s: %w", calls.Clip(p.Item), err)
			}
			item.Components = append(item.Components, adjustedComponent{componentNames[c], adjustedAmount{o.currency, text}})
		}
		all = append(all, feedMessage{ID: messageID(w.CommandID, n), Refund: &adjustment{w.OrderID, "Refund", item}})
	}
	return all, nil
}

// refundReason is an AdjustmentReason of OrderAdjustment.xsd.
func refundReason(r event.Restock) string {
	switch r {
	case event.Restock_RESTOCK_RETURN:
		return "CustomerReturn"
	case event.Restock_RESTOCK_CANCEL:
		return "CustomerCancel"
	}
	return "GeneralAdjustment"
}
