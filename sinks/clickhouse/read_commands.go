package clickhouse

import (
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// commandsReader fills commands: a book is a row for each of its commands. Free text of the
// seller (notes, reasons) may name people and stays in Kafka.
type commandsReader struct {
	m       event.CommandBook
	stands  *spelled[event.CommandState]
	became  *spelled[event.Outcome]
	amounts []string
	*rows
	account, order, listing, id, kind, state, outcome, code, message *word
	attempts                                                         *ints
	sku, amount, currency                                            *word
	units                                                            *ints
	carrier, tracking                                                *word
	requested, changed                                               *ints
}

func newCommandsReader() *commandsReader {
	r := newRows("commands")
	d := &commandsReader{
		stands: spell[event.CommandState]("COMMAND_STATE"), became: spell[event.Outcome]("OUTCOME"),
		rows: r, account: r.word("account"), order: r.text("order_id"), listing: r.text("listing_id"), id: r.text("command_id"),
		kind: r.word("kind"), state: r.word("state"), outcome: r.word("outcome"), code: r.word("code"), message: r.text("message"),
		attempts: r.int("attempts"), sku: r.text("sku"), amount: r.text("amount_text"), currency: r.word("currency"), units: r.int("units"),
		carrier: r.word("carrier"), tracking: r.text("tracking"), requested: r.time("requested_at"), changed: r.time("changed_at"),
	}
	r.seal()
	return d
}

func (d *commandsReader) tables() []*rows { return []*rows{d.rows} }

func (d *commandsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Account == "" || m.OrderId == "" && m.ListingId == "" {
		return malformed("a book of commands without account, or order and listing")
	}
	d.amounts = d.amounts[:0]
	for _, s := range m.Commands {
		if s.GetCommand().GetId() == "" {
			return malformed("a command without id")
		}
		if err := times(s.Command.RequestedMs, s.ChangedMs); err != nil {
			return err
		}
		text := ""
		if a := amountOf(s.Command); a != nil {
			var err error
			if text, err = money.FormatDecimal(a.Value); err != nil {
				return malformed("amount of command %s: %v", s.Command.Id, err)
			}
		}
		d.amounts = append(d.amounts, text)
	}
	c, err := c.fromHeader(r, m.Version)
	if err != nil {
		return err
	}
	for i, s := range m.Commands {
		d.account.add(m.Account)
		d.order.add(m.OrderId)
		d.listing.add(m.ListingId)
		d.id.add(s.Command.Id)
		d.state.add(d.stands.of(s.State))
		d.outcome.add(d.became.of(s.Outcome))
		d.code.add(s.Code)
		d.message.add(s.Message)
		d.attempts.add(s.Attempts)
		d.amount.add(d.amounts[i])
		d.currency.add(amountOf(s.Command).GetCurrency())
		d.action(s.Command)
		d.requested.add(s.Command.RequestedMs)
		d.changed.add(s.ChangedMs)
		d.at(c)
	}
	return nil
}

// action adds what differs by kind.
func (d *commandsReader) action(c *event.Command) {
	var kind, sku, carrier, tracking string
	var lines []*event.CommandLine
	switch a := c.Action.(type) {
	case *event.Command_Price:
		kind, sku = "price", a.Price.GetSku()
	case *event.Command_Shipment:
		kind, carrier, tracking, lines = "shipment", a.Shipment.GetCarrierCode(), a.Shipment.GetTracking(), a.Shipment.GetLines()
	case *event.Command_Cancellation:
		kind = "cancellation"
	case *event.Command_Refund:
		kind, lines = "refund", a.Refund.GetLines()
	}
	units := int64(0)
	for _, l := range lines {
		units += l.GetQuantity()
	}
	d.kind.add(kind)
	d.sku.add(sku)
	d.units.add(units)
	d.carrier.add(carrier)
	d.tracking.add(tracking)
}

// amountOf is a command's amount; nil = none.
func amountOf(c *event.Command) *event.Amount {
	if p := c.GetPrice(); p != nil {
		return p.Amount
	}
	return c.GetRefund().GetAmount()
}

func (d *commandsReader) removed(string) ([]removal, error) { return nil, nil }

// commandOutcomesReader fills command_outcomes.
type commandOutcomesReader struct {
	m      event.CommandOutcome
	became *spelled[event.Outcome]
	*rows
	account, order, listing, id, connector, kind, outcome *word
	gaveUp                                                *flags
	write                                                 *word
	epoch, version                                        *ints
	code, message                                         *word
	attempts, started, finished                           *ints
}

func newCommandOutcomesReader() *commandOutcomesReader {
	r := newRows("command_outcomes")
	d := &commandOutcomesReader{
		became: spell[event.Outcome]("OUTCOME"),
		rows:   r, account: r.word("account"), order: r.text("order_id"), listing: r.text("listing_id"), id: r.text("command_id"),
		connector: r.word("connector"), kind: r.word("kind"), outcome: r.word("outcome"), gaveUp: r.flag("gave_up"), write: r.text("write_id"),
		epoch: r.int("target_epoch"), version: r.int("target_version"), code: r.word("code"), message: r.text("message"),
		attempts: r.int("attempts"), started: r.time("started_at"), finished: r.time("finished_at"),
	}
	r.seal()
	return d
}

func (d *commandOutcomesReader) tables() []*rows { return []*rows{d.rows} }

func (d *commandOutcomesReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Account == "" || m.CommandId == "" {
		return malformed("an outcome of a command without account or command")
	}
	if err := times(m.StartedMs, m.FinishedMs); err != nil {
		return err
	}
	c, err := c.fromHeader(r, nil)
	if err != nil {
		return err
	}
	d.account.add(m.Account)
	d.order.add(m.OrderId)
	d.listing.add(m.ListingId)
	d.id.add(m.CommandId)
	d.connector.add(m.Connector)
	d.kind.add(m.Kind)
	d.outcome.add(d.became.of(m.Outcome))
	d.gaveUp.add(m.GaveUp)
	d.write.add(m.WriteId)
	d.epoch.add(m.TargetVersion.GetEpoch())
	d.version.add(m.TargetVersion.GetNumber())
	d.code.add(m.Code)
	d.message.add(m.Message)
	d.attempts.add(m.Attempts)
	d.started.add(m.StartedMs)
	d.finished.add(m.FinishedMs)
	d.at(c)
	return nil
}

func (d *commandOutcomesReader) removed(string) ([]removal, error) { return nil, nil }
