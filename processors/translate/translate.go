package translate

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Source is one connection, as the headers of a raw record name it.
type Source struct{ Connector, Account string }

// Config says whose records can be translated.
type Config struct {
	// Translators by connection. The map must not change afterwards.
	Translators map[Source]connectors.Translator
}

// Validate reports what is wrong with the configuration.
func (c *Config) Validate() error {
	for s, t := range c.Translators {
		if s.Connector == "" || s.Account == "" {
			return fmt.Errorf("translate: connection %q of connector %q has no name or no connector", s.Account, s.Connector)
		}
		if t == nil {
			return fmt.Errorf("translate: connector %s (connection %s) has no translator, it cannot bring records in", s.Connector, s.Account)
		}
	}
	return nil
}

// Listings is a view of the compacted topic catalog.listings, of all its partitions. It
// may be behind: an answer that is missing is asked for on catalog.in.
type Listings interface {
	// Lookup returns the SKU of a listing, nil while it has none. The answer is shared and
	// must not be modified. Called concurrently.
	Lookup(account, listing string) *event.Resolution
}

// Room is the translate room.
type Room struct {
	sources map[Source]source
	// connectors of the accounts, whose names are unique.
	connectors map[string]string
	subjects   map[string]connectors.Subject
	listings   Listings
	// spare desks, so that none is made for each record.
	spare sync.Pool
}

// source keeps a connection's name once, so that a record's headers need no copies.
type source struct {
	Source
	translator connectors.Translator
}

// New makes the room.
func New(cfg Config, listings Listings) (*Room, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if listings == nil {
		return nil, errors.New("translate: no view of the catalog's listings")
	}
	r := &Room{
		sources:    make(map[Source]source, len(cfg.Translators)),
		connectors: make(map[string]string, len(cfg.Translators)),
		listings:   listings,
		subjects: map[string]connectors.Subject{
			schemas.RawOrders.Name:    connectors.Orders,
			schemas.RawProducts.Name:  connectors.Products,
			schemas.RawInventory.Name: connectors.Inventory,
			schemas.RawStock.Name:     connectors.Stock,
			schemas.RawRates.Name:     connectors.RateDays,
		},
	}
	for s, t := range cfg.Translators {
		r.sources[s] = source{s, t}
		r.connectors[s.Account] = s.Connector
	}
	return r, nil
}

// Name is the stage's name.
func (*Room) Name() string { return "translate" }

// Inputs are the raw topics. There are several, which only a room without entries may have.
func (*Room) Inputs() []schemas.Topic {
	return []schemas.Topic{schemas.RawOrders, schemas.RawProducts, schemas.RawInventory, schemas.RawStock, schemas.RawRates}
}

// Tables is empty: the room keeps dedup marks only.
func (*Room) Tables() []*stream.Table { return nil }

// Prepare translates. It is where the time goes, and runs on all cores.
func (room *Room) Prepare(r *stream.Record) (stream.Input, error) {
	subject, ok := room.subjects[r.Topic.Name]
	if !ok {
		return stream.Input{}, fmt.Errorf("topic %s is none that can be translated: %w", r.Topic.Name, connectors.ErrUnsupported)
	}
	h := headersOf(r)
	d, ok := room.spare.Get().(*desk)
	if !ok {
		d = newDesk()
	}
	defer room.spare.Put(d)
	src := &d.source
	if src.translator == nil || src.Connector != string(h.connector) || src.Account != string(h.account) {
		if *src, ok = room.sources[Source{string(h.connector), string(h.account)}]; !ok {
			return stream.Input{}, fmt.Errorf("no connection %q of connector %q is configured: add it and redrive: %w",
				h.account, h.connector, connectors.ErrUnsupported)
		}
	}
	w := d.work()
	if err := h.origin(&w.origin, r, src.Source); err != nil {
		return stream.Input{}, err
	}
	format := d.record.Format
	if format != string(h.format) {
		format = string(h.format) // mostly the one of the record before
	}
	d.record = connectors.Record{
		Subject: subject, Account: src.Account, Object: string(h.object), Format: format,
		Body: r.Value, SourceTime: h.time(),
	}
	facts, err := src.translator.Translate(&d.record)
	d.record.Body = nil
	if err != nil {
		return stream.Input{}, fmt.Errorf("translating %s %s of %s/%s: %w", h.format, h.object, src.Connector, src.Account, err)
	}
	for _, r := range facts.Returned {
		if r.Connector = room.connectors[r.Account]; r.Connector == "" {
			return stream.Input{}, fmt.Errorf("%s %s of %s/%s is of an order of connection %q, which is not configured: add it and redrive: %w",
				h.format, h.object, src.Connector, src.Account, r.Account, connectors.ErrUnsupported)
		}
	}
	if err := w.build(src.Source, &facts, d); err != nil {
		return stream.Input{}, fmt.Errorf("facts of %s %s of %s/%s: %w", h.format, h.object, src.Connector, src.Account, err)
	}
	return stream.Input{Value: w}, nil
}

// Apply gives order lines their SKUs and emits the facts.
func (room *Room) Apply(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	w := in.Value.(*work)
	for _, o := range w.orders {
		for i, l := range o.Lines {
			if !l.Stocked {
				continue
			}
			listing := listingOf(l)
			if l.Resolution = room.listings.Lookup(o.Account, listing); l.Resolution.GetSku() != "" {
				continue
			}
			l.Resolution = nil
			if !askedBefore(o.Lines[:i], listing) {
				tx.Emit(park(o, l, listing))
			}
		}
	}
	for i := range w.outs {
		tx.Emit(w.outs[i])
	}
	return nil
}

// Repeat is Apply: there are no entries that could say more.
func (room *Room) Repeat(tx *stream.Tx, r *stream.Record, in stream.Input) error {
	return room.Apply(tx, r, in)
}

// askedBefore: an earlier line of the order has the same listing, and no SKU either.
func askedBefore(lines []*event.OrderLine, listing string) bool {
	for _, l := range lines {
		if l.Stocked && listingOf(l) == listing {
			return true
		}
	}
	return false
}

// listingOf names what was bought: the listing, or the SKU text of a line that has lost its
// listing (a product deleted since).
func listingOf(l *event.OrderLine) string {
	if l.ListingId != "" {
		return l.ListingId
	}
	return "sku:" + l.PlatformSku
}

func park(o *event.Order, l *event.OrderLine, listing string) stream.Output {
	return stream.Output{
		Topic: schemas.CatalogIn,
		Key:   key(o.Account, listing),
		Value: &event.CatalogInput{Input: &event.CatalogInput_Park{Park: &event.ParkRequest{
			Account: o.Account, OrderId: o.Id, ListingId: listing, PlatformSku: l.PlatformSku,
		}}},
	}
}

// headers of a raw record, found in one pass. They are views into the record.
type headers struct {
	connector, account, format, object, path, sourceTime []byte
	sourceMs                                             int64
}

func headersOf(r *stream.Record) (h headers) {
	for i := range r.Headers {
		v := r.Headers[i].Value
		switch r.Headers[i].Key {
		case schemas.HeaderConnector:
			h.connector = v
		case schemas.HeaderAccount:
			h.account = v
		case schemas.HeaderFormat:
			h.format = v
		case schemas.HeaderObject:
			h.object = v
		case schemas.HeaderPath:
			h.path = v
		case schemas.HeaderSourceTime:
			h.sourceTime = v
		}
	}
	return h
}

// origin fills in where the record's facts come from.
func (h *headers) origin(o *event.Origin, r *stream.Record, s Source) error {
	if len(h.sourceTime) > 0 {
		ms, err := strconv.ParseInt(string(h.sourceTime), 10, 64)
		if err != nil {
			return fmt.Errorf("header %s: %q is no time in milliseconds: %w", schemas.HeaderSourceTime, h.sourceTime, connectors.ErrMalformed)
		}
		h.sourceMs = ms
	}
	o.Connector, o.Account = s.Connector, s.Account
	o.Topic, o.Partition, o.Offset = r.Topic.Name, r.Partition, r.Offset
	o.SourceTimeMs, o.ReceivedMs = h.sourceMs, r.TimestampMs
	switch string(h.path) {
	case "webhook":
		o.Path = event.Path_PATH_WEBHOOK
	case "poll":
		o.Path = event.Path_PATH_POLL
	case "import":
		o.Path = event.Path_PATH_IMPORT
	case "redrive":
		o.Path = event.Path_PATH_REDRIVE
	}
	return nil
}
