package translate

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// idSize of an event id: the first half of a SHA-256.
const idSize = 16

// build makes the outputs of a record's facts. An event id is computed before the origin is
// filled in: it must not depend on the way a fact came.
func (w *work) build(s Source, f *connectors.Facts, d *desk) error {
	n := len(f.Orders) + len(f.Refunds) + len(f.Products) + len(f.Deleted) + len(f.Observations) +
		2*len(f.Adjustments) + len(f.Returns) + len(f.Returned) + len(f.Rates) + len(f.Commands) + len(f.Privacy)
	w.outs, w.ids, w.desk = w.out[:0], w.id[:0], d
	if n > 1 {
		w.outs, w.ids = make([]stream.Output, 0, n), make([]byte, 0, n*idSize)
	}
	defer func() { w.desk = nil }()
	for _, o := range f.Orders {
		if err := w.order(s, o); err != nil {
			return err
		}
	}
	for _, r := range f.Refunds {
		r.Connector, r.Account = s.Connector, s.Account
		if err := w.refund(r); err != nil {
			return err
		}
	}
	for _, r := range f.Returned { // of an order of another connection
		if err := w.refund(r); err != nil {
			return err
		}
	}
	for _, p := range f.Products {
		if p.Id == "" || p.UpdatedMs <= 0 {
			return missing("a product", "id or time of change")
		}
		p.Connector, p.Account, p.Origin = s.Connector, s.Account, nil
		in := &event.CatalogInput{Input: &event.CatalogInput_Product{Product: p}}
		if err := w.emit(stream.Output{Topic: schemas.CatalogIn, Key: w.desk.key(s.Account, p.Id)}, in); err != nil {
			return err
		}
		in.EventId, p.Origin = w.lastID(), &w.origin
	}
	for _, d := range f.Deleted {
		if d.Id == "" {
			return missing("a deleted product", "id")
		}
		d.Connector, d.Account = s.Connector, s.Account
		in := &event.CatalogInput{Input: &event.CatalogInput_ProductDeleted{ProductDeleted: d}}
		if err := w.emit(stream.Output{Topic: schemas.CatalogIn, Key: w.desk.key(s.Account, d.Id)}, in); err != nil {
			return err
		}
		in.EventId = w.lastID()
	}
	for _, a := range f.Adjustments {
		if err := w.adjustment(s, a); err != nil {
			return err
		}
	}
	for _, r := range f.Returns {
		if r.Id == "" {
			return missing("a return", "id")
		}
		r.Account, r.Origin = s.Account, nil
		if err := w.emit(stream.Output{Topic: schemas.StockReturns, Key: w.desk.key(s.Account, r.Id)}, r); err != nil {
			return err
		}
		r.Origin = &w.origin
	}
	for _, c := range f.Commands {
		if err := w.command(s, c); err != nil {
			return err
		}
	}
	for _, o := range f.Observations {
		if o.StockId == "" {
			return missing("a shown quantity", "stock id")
		}
		o.Connector, o.Account, o.Origin = s.Connector, s.Account, nil
		if err := w.emit(stream.Output{Topic: schemas.InventoryObserved, Key: w.desk.key(s.Account, o.StockId)}, o); err != nil {
			return err
		}
		o.Origin = &w.origin
	}
	for _, d := range f.Rates {
		if d.Source == "" || d.Date == "" {
			return missing("a day of rates", "source or date")
		}
		d.Origin = nil
		in := &event.FxInput{Input: &event.FxInput_Rates{Rates: d}}
		out := stream.Output{Topic: schemas.FxIn, Key: w.desk.key(d.Source, d.Date), Partition: stream.Everywhere, ByPartition: true}
		if err := w.emit(out, in); err != nil {
			return err
		}
		in.EventId, d.Origin = w.lastID(), &w.origin
	}
	for _, q := range f.Privacy {
		if q.Id == "" || q.Kind == event.PrivacyKind_PRIVACY_KIND_UNSPECIFIED {
			return missing("a request about people's data", "id or kind")
		}
		q.Connector, q.Account, q.Origin = s.Connector, s.Account, nil
		in := &event.PrivacyInput{Input: &event.PrivacyInput_Request{Request: q}}
		if err := w.emit(stream.Output{Topic: schemas.PrivacyIn, Key: w.desk.key(s.Account, q.Id)}, in); err != nil {
			return err
		}
		in.EventId, q.Origin = w.lastID(), &w.origin
	}
	return nil
}

// emit adds a fact: identified by what it says, sent as value.
func (w *work) emit(o stream.Output, says stream.Message) error {
	id, err := eventID(&w.desk.buf, o.Topic.Name, says)
	if err != nil {
		return err
	}
	w.ids = append(w.ids, id[:]...)
	o.Once = w.ids[len(w.ids)-idSize : len(w.ids) : len(w.ids)]
	if o.Value == nil {
		o.Value = says
	}
	w.outs = append(w.outs, o)
	return nil
}

func (w *work) order(s Source, o *event.Order) error {
	if o.Id == "" || o.UpdatedMs <= 0 {
		return missing("an order", "id or time of change")
	}
	o.Connector, o.Account = s.Connector, s.Account
	o.Origin, o.Version, o.Known, o.Parked, o.ForgottenMs = nil, nil, nil, false, 0
	for _, l := range o.Lines {
		l.Resolution = nil
	}
	for _, r := range o.Refunds {
		r.Connector, r.Account, r.OrderId, r.Origin = s.Connector, s.Account, o.Id, nil
	}
	in := &w.first
	if len(w.orders) > 0 {
		in = new(orderInput)
	}
	in.snapshot.Snapshot, in.input.Input = o, &in.snapshot
	if err := w.emit(stream.Output{Topic: schemas.OrdersIn, Key: w.desk.key(s.Account, o.Id)}, &in.input); err != nil {
		return err
	}
	in.input.EventId, o.Origin = w.lastID(), &w.origin
	w.orders = append(w.orders, o)
	return nil
}

func (w *work) refund(r *event.Refund) error {
	if r.OrderId == "" || r.Id == "" {
		return missing("a refund", "order id or id")
	}
	r.Origin = nil
	in := &event.OrderInput{Input: &event.OrderInput_Refund{Refund: r}}
	if err := w.emit(stream.Output{Topic: schemas.OrdersIn, Key: w.desk.key(r.Account, r.OrderId)}, in); err != nil {
		return err
	}
	in.EventId, r.Origin = w.lastID(), &w.origin
	return nil
}

// adjustment is told twice: to the stock room as a move of its own, and as the fact it is.
func (w *work) adjustment(s Source, a *event.Adjustment) error {
	if a.Id == "" || a.Sku == "" {
		return missing("a stock adjustment", "id or SKU")
	}
	a.Account, a.Origin = s.Account, nil
	onHand := a.Quantity
	if a.Kind == event.MoveKind_MOVE_KIND_WRITE_OFF && onHand > 0 {
		// Some systems count what was written off, others the change.
		onHand = -onHand
	}
	move := &event.StockInput{Input: &event.StockInput_Move{Move: &event.StockMove{
		Sku: a.Sku, Warehouse: a.Warehouse, MoveId: "adjust/" + s.Account + "/" + a.Id,
		CauseVersion: &event.Version{Number: a.OccurredMs}, Kind: a.Kind,
		OnHand: onHand, OccurredMs: a.OccurredMs, Note: a.Note,
	}}}
	if err := w.emit(stream.Output{Topic: schemas.StockIn, Key: []byte(a.Sku)}, move); err != nil {
		return err
	}
	move.EventId = w.lastID()
	if err := w.emit(stream.Output{Topic: schemas.StockAdjustments, Key: w.desk.key(s.Account, a.Id)}, a); err != nil {
		return err
	}
	a.Origin = &w.origin
	return nil
}

// command goes to the room that carries it out; a price goes by the catalog, which knows the
// listings of a SKU. Its id is unique within the connection that it came by.
func (w *work) command(s Source, c *event.Command) error {
	if c.Id == "" || c.Account == "" || c.RequestedMs <= 0 || c.Action == nil {
		return missing("a command", "id, account, time or what is to be done")
	}
	c.Id, c.Origin = s.Account+"/"+c.Id, nil
	c.RefusalCode, c.Refusal = "", ""
	if p := c.GetPrice(); p != nil {
		in := &event.CatalogInput{Input: &event.CatalogInput_Command{Command: c}}
		subject := p.ListingId
		if subject == "" {
			subject = p.Sku
		}
		if err := w.emit(stream.Output{Topic: schemas.CatalogIn, Key: w.desk.key(c.Account, subject)}, in); err != nil {
			return err
		}
		in.EventId, c.Origin = w.lastID(), &w.origin
		return nil
	}
	if c.OrderId == "" {
		return missing("a command", "order")
	}
	in := &event.CommandInput{Input: &event.CommandInput_Command{Command: c}}
	if err := w.emit(stream.Output{Topic: schemas.CommandsIn, Key: w.desk.key(c.Account, c.OrderId)}, in); err != nil {
		return err
	}
	in.EventId, c.Origin = w.lastID(), &w.origin
	return nil
}

func (w *work) lastID() []byte { return w.outs[len(w.outs)-1].Once }

// eventID is the event id of a fact: what it is for, and its canonical encoding. buf is room
// for the encoding, which lives only while it is hashed. Protobuf's encoding is canonical
// here because there are no maps and the code that encodes is one; a newer program may give
// other ids, which costs a repetition.
func eventID(buf *[]byte, topic string, m stream.Message) (id [idSize]byte, err error) {
	head := len(topic) + 1
	for {
		b := (*buf)[:cap(*buf)]
		if len(b) > head {
			n, fits, err := stream.EncodeAtEnd(m, b[head:])
			if err != nil {
				return id, fmt.Errorf("encoding a fact for %s: %w", topic, err)
			}
			if fits {
				b = b[len(b)-n-head:]
				b[copy(b, topic)] = 0
				sum := sha256.Sum256(b)
				return [idSize]byte(sum[:]), nil
			}
		}
		size := head + m.SizeVT()
		*buf = make([]byte, size+size/4)
	}
}

func key(account, id string) []byte {
	b := make([]byte, 0, len(account)+1+len(id))
	b = append(b, account...)
	b = append(b, '/')
	return append(b, id...)
}

func missing(what, part string) error {
	return fmt.Errorf("%s without %s: %w", what, part, connectors.ErrMalformed)
}

func (h *headers) time() time.Time {
	if h.sourceMs == 0 {
		return time.Time{}
	}
	return time.UnixMilli(h.sourceMs).UTC()
}
