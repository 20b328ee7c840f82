package amazon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// refunder gives money back, by the feed of adjustments: one message for each item, so that the
// report says of each whether it was done.
//
// No refund is made twice. feeder writes down what is sent; what is left is a createFeed of which
// nobody knows whether it made a feed. Orders say nothing of refunds, the books (finances.go) do
// so two days late, and a feed carries no mark of ours that getFeeds would show. So:
//   - One createFeed of a refund is under way at a time in an account (turn): its document was
//     asked for after the feed before it was made, and the next one waits while it is open. A feed
//     of this type in Amazon's list that was made from then on is therefore its own. Clocks differ
//     by a moment: what was made in the moment before is known by its name.
//   - One feed found: it is taken for ours, and its report must account for exactly our messages.
//   - None: it is looked for until settleTime is over, which is far longer than a call lasts. Then
//     it was not made, and is sent anew.
//   - Several: somebody else sends such feeds, too, and a person has to look.
//
// A feed that Amazon gives up in the middle (FATAL), one that it does not know any more, a report
// that is not about our messages, and a refund of which only some items were done stay Unknown,
// unless the books show the refund. They are never sent again.
type refunder struct{ feeder }

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
	known, err := f.givenBack(ctx, w.OrderID, s.Currency)
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
	// Made are the feeds that were made a moment ago, and when, by our clock.
	Made map[string]time.Time `json:"made,omitempty"`
}

// recent is how long the feeds that were made are remembered. It is far longer than clocksDiffer:
// several may be made in a second.
const recent = 10 * time.Minute

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
	mine := t.Journal[feedRefund]
	mine.Command, mine.At = "", time.Time{}
	maps.DeleteFunc(mine.Made, func(_ string, at time.Time) bool { return f.age(at) > recent })
	if feed != "" {
		if mine.Made == nil {
			mine.Made = map[string]time.Time{}
		}
		mine.Made[feed] = f.deps.Now().UTC()
	}
	t.Journal[feedRefund] = mine
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
		other := m.Kind != feedRefund || ok && (at.Before(from) || at.After(until)) || len(m.Markets) > 0 && !slices.Equal(m.Markets, []string{s.Market})
		if !other && m.ID != "" && !slices.Contains(s.Previous, m.ID) && !slices.Contains(found, m.ID) {
			found = append(found, m.ID)
		}
	}
	switch {
	case len(found) > 1:
		return false, b.stick(ctx, s, codeSeveral, fmt.Sprintf("of the feeds %v one may be this refund: look at the order in Seller Central", found)), nil
	case len(found) == 1:
		if b.made(ctx, s, found[0]) && t.Journal[feedRefund].Command == command {
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
	o, err := f.orderNow(ctx, w.OrderID, "FULFILLMENT,PROCEEDS,TAX", connectors.Normal)
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
	s := &sending{Kind: feedRefund, At: f.deps.Now().UTC(), Since: since, Messages: len(messages), Sent: 1, Parts: parts, Currency: order.currency, Market: order.market}
	if before != nil {
		s.Sent = before.Sent + 1
	}
	for _, g := range known {
		s.Before = append(s.Before, g.id)
	}
	s.Previous = slices.Sorted(maps.Keys(t.Journal[feedRefund].Made))
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
	if b.made(ctx, s, feed) {
		f.release(ctx, t, feed)
	}
	return unsettled(codeProgress, f.patience(s.At), "feed "+feed+" is handed in"), nil
}
