package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// orderPoller reports orders: those that notifications name, one by one, and behind that
// whatever searchOrders says has changed.
type orderPoller struct {
	*client
	// queue is nil when there is none.
	queue *queue
}

// orderCursor is the state between two polls.
type orderCursor struct {
	// Until: everything that changed up to here has been emitted. It never goes back.
	Until time.Time `json:"until"`
	// Window is the search that is under way; nil = none.
	Window *window `json:"window,omitempty"`
	// Deep is the end of the last window that was read with the long overlap.
	Deep time.Time `json:"deep,omitzero"`
	// Next is when searchOrders is due again, by our clock: it paces, it bounds nothing.
	Next time.Time `json:"next,omitzero"`
	// Receipts are of the notifications whose orders were emitted by the poll that made this
	// cursor. They are deleted by the next one: by then all of it is in Kafka.
	Receipts []string `json:"receipts,omitempty"`
}

// window is one reading of searchOrders, page by page. All parameters must stay the same from
// page to page, so that they are kept with the token, which lives for 24 h.
type window struct {
	From string `json:"from"`
	// Bound is up to where the list was complete when it began, by Amazon's clock.
	Bound time.Time `json:"bound"`
	Token string    `json:"token"`
	Deep  bool      `json:"deep,omitempty"`
}

// oldest is how far back Amazon keeps orders.
// https://developer-docs.amazon.com/sp-api/docs/orders-api
const oldest = 2*365*24*time.Hour - 24*time.Hour

// fresh is what Amazon leaves out of the list because it may still change: the last two
// minutes, and one for clocks that differ.
const fresh = 3 * time.Minute

// Poll empties the queue, a bounded number of messages at a time, and reads what changed when
// that is due.
func (p *orderPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	state, err := readOrderCursor(req)
	if err != nil {
		return res, err
	}
	// An error of emit ends the poll, whatever else there is to do.
	var broken error
	counted := func(raw connectors.Raw) error {
		if err := emit(raw); err != nil {
			broken = err
			return err
		}
		res.Objects++
		return nil
	}
	due := p.queue == nil || state.Window != nil || !p.deps.Now().Before(state.Next)
	more := false
	if p.queue != nil {
		p.queue.remove(ctx, state.Receipts)
		state.Receipts = nil
		wait := p.cfg.QueueWait
		if due {
			wait = 0
		}
		state.Receipts, err = p.drain(ctx, wait, counted)
		more = len(state.Receipts) > 0
		if broken != nil {
			return res, broken
		}
		switch {
		case err == nil:
		case more:
			// What was emitted counts, so that the messages of it are deleted; whatever is wrong comes
			// up again in the poll that follows at once.
			p.deps.Log.Warn("some notifications stay in the queue for now", "err", err)
			return state.result(res, true), nil
		case !due || ctx.Err() != nil:
			return res, fmt.Errorf("polling orders: %w", err)
		default:
			// The list of orders is there for exactly this. That the queue fails is the outcome of the
			// polls between two readings of it.
			p.deps.Log.Error("the queue of notifications fails: orders are found by searchOrders alone", "err", err)
		}
	}
	if due {
		again, err := p.search(ctx, req, &state, &res, counted)
		if broken != nil {
			return res, broken
		}
		if err != nil && !more {
			return res, fmt.Errorf("polling orders: %w", err)
		}
		more = more || again
	}
	return state.result(res, more), nil
}

func readOrderCursor(req connectors.PollRequest) (c orderCursor, err error) {
	if len(req.Cursor) == 0 {
		return orderCursor{Until: req.Start}, nil
	}
	if err := json.Unmarshal(req.Cursor, &c); err != nil {
		return c, fmt.Errorf("%w: the stored cursor %q cannot be read: delete it to begin from start", connectors.ErrPermanent, jsonread.Clip(string(req.Cursor)))
	}
	return c, nil
}

func (c orderCursor) result(res connectors.PollResult, more bool) connectors.PollResult {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // times and texts
	}
	res.Cursor, res.More, res.Watermark = b, more, c.Until
	return res
}

// drain takes messages from the queue, reads the orders that they name and emits them. It
// returns the receipts of those messages whose meaning was emitted. The error is what stops
// this connection as a whole; an order that cannot be read leaves its message in the queue.
func (p *orderPoller) drain(ctx context.Context, wait time.Duration, emit func(connectors.Raw) error) (receipts []string, err error) {
	for taken := 0; taken < p.cfg.QueueMessages; {
		messages, err := p.queue.receive(ctx, wait, p.cfg.QueueMessages-taken)
		if err != nil {
			return receipts, err
		}
		if len(messages) == 0 {
			break
		}
		taken += len(messages)
		wait = 0
		done, err := p.handle(ctx, messages, emit)
		receipts = append(receipts, done...)
		if err != nil {
			return receipts, err
		}
	}
	return receipts, nil
}

// handle emits what some messages mean. Several about one order are one reading of it.
func (p *orderPoller) handle(ctx context.Context, messages []message, emit func(connectors.Raw) error) (receipts []string, err error) {
	var order []string
	byOrder := map[string][]message{}
	for _, m := range messages {
		n, err := readNotification(m.body)
		switch {
		case err == nil && n.seller != "" && n.seller != p.cfg.SellerID:
			// Deleting it would take it away from whose it is.
			p.deps.Log.Warn("the queue holds a notification of another seller: give each connection a queue of its own", "seller", jsonread.Clip(n.seller))
			continue
		case err == nil && n.kind == kindOrderChange && n.object != "":
			if byOrder[n.object] == nil {
				order = append(order, n.object)
			}
			byOrder[n.object] = append(byOrder[n.object], m)
			continue
		case err == nil && n.subject == "":
			// Somebody subscribed the queue to something that says nothing of orders or stock.
			p.deps.Log.Debug("a notification of a kind that is not used", "kind", jsonread.Clip(n.kind))
		default:
			// What cannot be read is stored as it is: the translator says what is wrong with it.
			if err := emit(n.raw(m)); err != nil {
				return receipts, err
			}
		}
		receipts = append(receipts, m.receipt)
	}
	away := 0
	for _, id := range order {
		raw, err := p.order(ctx, id, connectors.Urgent)
		if away++; !calls.IsPassing(err) {
			away = 0
		}
		switch {
		case away >= maxAway:
			return receipts, err // it is not the orders: all messages come again
		case err == nil:
			if err := emit(raw); err != nil {
				return receipts, err
			}
		case stops(ctx, err):
			return receipts, err
		case !worn(byOrder[id]):
			// It comes again when its message is visible again.
			p.deps.Log.Warn("an order that was announced cannot be read yet", "order", id, "err", err)
			continue
		default:
			// It was tried often enough: the notification itself is put on record.
			p.deps.Log.Error("an order that was announced cannot be read: see the dead letters", "order", id, "err", err)
			for _, m := range byOrder[id] {
				n, _ := readNotification(m.body)
				if err := emit(n.raw(m)); err != nil {
					return receipts, err
				}
			}
		}
		for _, m := range byOrder[id] {
			receipts = append(receipts, m.receipt)
		}
	}
	return receipts, nil
}

// maxAway is how many orders in a row may fail before that is taken for an outage.
const maxAway = 3

// stops reports an error that concerns more than one order.
func stops(ctx context.Context, err error) bool {
	var retry *connectors.RetryAfterError
	return ctx.Err() != nil || errors.Is(err, connectors.ErrNeedsAuthorisation) || errors.As(err, &retry)
}

// maxReceives is how often a notification is tried.
const maxReceives = 8

func worn(messages []message) bool {
	for _, m := range messages {
		if m.received >= maxReceives {
			return true
		}
	}
	return false
}

// orderData is what is asked of an order: everything that a fact is made of, and the packages
// for what is shipped. Both ways of reading ask for the same, so that they tell the same.
const orderData = "BUYER,RECIPIENT,PROCEEDS,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX"

// order reads one order as it is now.
func (c *client) order(ctx context.Context, id string, urgency connectors.Priority) (raw connectors.Raw, err error) {
	a, err := c.read(ctx, call{
		op: opGetOrder, path: "/orders/2026-01-01/orders/" + url.PathEscape(id),
		query: url.Values{"includedData": {orderData}}, priority: urgency,
	})
	if err != nil {
		return raw, err
	}
	r := jsonread.New(a.body)
	node := ""
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "order" {
			node = r.Raw()
		} else {
			r.Skip()
		}
	}
	r.End()
	if r.Err() != nil || node == "" || node == "null" {
		return raw, calls.Passing(fmt.Errorf("the answer about order %s cannot be read: %v", jsonread.Clip(id), r.Err()))
	}
	return orderRaw(node), nil
}

// orderRaw is one order as it stands in an answer. One that cannot be read has no id of its
// own; it is emitted as it is, and the translator says what is wrong with it.
func orderRaw(node string) connectors.Raw {
	raw := connectors.Raw{Subject: connectors.Orders, Object: unknownObject, Body: []byte(node), Format: formatOrder}
	r := jsonread.NewString(node)
	if r.Peek() != '{' {
		return raw
	}
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "orderId":
			if r.Peek() != '"' {
				r.Skip()
			} else if id := r.Text(); id != "" && len(id) <= maxID {
				raw.Object = id
			}
		case "lastUpdatedTime":
			if r.Peek() != '"' {
				r.Skip()
			} else if ms, ok := jsonread.Instant(r.Text()); ok {
				raw.SourceTime = time.UnixMilli(ms).UTC()
			}
		default:
			r.Skip()
		}
	}
	return raw
}

// unknownObject is the key of a record whose own cannot be read.
const unknownObject = "unknown"
