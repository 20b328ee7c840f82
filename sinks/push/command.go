package push

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// chore is one errand's part in what is under way.
type chore struct {
	e      *errand
	j      job
	id     string       // what the platform is told that the command is called
	amount *event.Money // as the platform counts it
	span   *telemetry.Span

	// settled: nothing more is to be called for it in this round.
	settled bool
	// over: it is carried out, or never will be.
	over bool
	// begun: the memory keeps others from it until it is let go of.
	begun  bool
	result connectors.Result
	gaveUp bool
	delay  time.Duration
}

func (c *chore) settle(o event.Outcome, code, message string) {
	c.settled, c.over = true, true
	c.result = connectors.Result{Outcome: o, Code: code, Message: message}
}

// holdBeyond is how much longer than a call others are kept from what it is about.
const holdBeyond = 5 * time.Second

// heldElsewhere is how long to wait when somebody else is at the same errand.
const heldElsewhere = time.Second

// execute carries a batch one step further: begin, call, record. What is not over by then goes
// back into the queue, and is called again under the same name: every pusher of a connector
// either has the platform know a command that it did, or asks first. So an unknown outcome
// is not read back here: the same call is the question.
func (d *desk) execute(ctx context.Context, batch []*errand) {
	chores := make([]*chore, len(batch))
	d.s.mu.Lock()
	for i, e := range batch {
		chores[i] = &chore{e: e, j: e.cur}
	}
	d.s.mu.Unlock()
	err := d.begin(ctx, chores)
	if err == nil {
		d.sift(chores)
		err = d.call(ctx, chores)
	}
	d.judge(err, chores)
	if !d.record(ctx, chores) {
		d.letGo(ctx, chores)
		d.abandon(chores)
		return
	}
	d.finish(chores)
}

// begin asks the memory whether it is anybody's turn, and makes it ours. A memory that fell back
// behind what this process began is reminded of that: the rooms tell old decisions again then, and
// an old price must not be set over a newer one.
func (d *desk) begin(ctx context.Context, chores []*chore) error {
	tries := make([]CommandTry, len(chores))
	for i, c := range chores {
		tries[i] = CommandTry{Key: c.e.key, Target: c.j.target, Offset: c.j.offset}
		if last, ok := d.own.find(c.e.key); ok && compare(last.version(), c.j.target.Version) > 0 {
			tries[i] = last
		}
	}
	known, err := d.s.deps.Commands.Begin(ctx, d.account, tries, d.s.cfg().CallTimeout+holdBeyond)
	if err == nil && len(known) != len(tries) {
		err = fmt.Errorf("%d answers to %d commands", len(known), len(tries))
	}
	if err != nil {
		return fmt.Errorf("asking who is at these commands: %w", err)
	}
	for i, c := range chores {
		switch k := known[i]; {
		case k.Newer != nil:
			d.overtaken(c, k.Newer, k.NewerOffset)
		case k.Held:
			c.settled, c.delay = true, heldElsewhere
		default:
			c.begun = true
			d.own.note(c.e.key, tries[i])
			if tries[i].Target != c.j.target {
				d.overtaken(c, tries[i].Target, tries[i].Offset)
			}
		}
	}
	return nil
}

// overtaken: what came after it was begun already, so that it must not be done over that.
func (d *desk) overtaken(c *chore, newer *event.CommandTarget, offset int64) {
	c.settled, c.over = true, true
	if c.j.offset > offset {
		d.s.mu.Lock()
		d.repairs = append(d.repairs, repair{target: newer})
		d.s.mu.Unlock()
	}
}

// sift settles what needs no call.
func (d *desk) sift(chores []*chore) {
	for _, c := range chores {
		cmd := c.j.target.Command
		switch {
		case c.settled:
		case cmd == nil:
			c.settled, c.over = true, true // nothing is to be done, and nothing to tell
		case d == d.s.noDesk:
			c.settle(event.Outcome_OUTCOME_REFUSED, "unknown-account", "no account of this name is configured")
		default:
			c.id = commandID(c.j.target)
			d.check(c, cmd)
		}
	}
}

// check refuses what the connection is not for, cannot, or cannot count.
func (d *desk) check(c *chore, cmd *event.Command) {
	var module connectors.Module
	var can bool
	var amount *event.Amount
	switch a := cmd.Action.(type) {
	case *event.Command_Price:
		module, can, amount = connectors.ModuleFinance, d.to.Price != nil, a.Price.GetAmount()
	case *event.Command_Shipment:
		module, can = connectors.ModuleFulfilment, d.to.Fulfilment != nil
	case *event.Command_Cancellation:
		module, can = connectors.ModuleFulfilment, d.to.Cancel != nil
	case *event.Command_Refund:
		module, can, amount = connectors.ModuleFinance, d.to.Refund != nil, a.Refund.GetAmount()
	}
	switch {
	case !d.to.Modules.Has(module):
		c.settle(event.Outcome_OUTCOME_REFUSED, "module-off", fmt.Sprintf("module %s of %s is off: switch it on, and send a new request", module, d.account))
	case !can:
		c.settle(event.Outcome_OUTCOME_REFUSED, "cannot", fmt.Sprintf("connector %s, as %s is connected, can carry out no %s", d.to.Connector, d.account, schemas.CommandKind(cmd)))
	case amount != nil:
		var err error
		if c.amount, err = counted(d.to.Connector, amount); err != nil {
			c.settle(event.Outcome_OUTCOME_REFUSED, "amount", err.Error())
		}
	}
}

// counted is an amount in the platform's smallest units, exactly.
func counted(provider string, a *event.Amount) (*event.Money, error) {
	text, err := money.FormatDecimal(a.GetValue())
	if err != nil {
		return nil, err
	}
	minor, err := money.Parse(provider, a.Currency, text)
	if err != nil {
		return nil, fmt.Errorf("%s counts no such amount: %w", provider, err)
	}
	return &event.Money{Minor: minor, Currency: a.Currency}, nil
}

// commandID is the same on every attempt at a command, whoever makes it: of the seller's name
// for it and what it is about, and nothing else. It is of one length, because platforms are
// asked for it as a part of longer text.
func commandID(t *event.CommandTarget) string {
	h := sha256.New()
	for _, s := range []string{t.Command.GetId(), t.Account, t.OrderId, t.ListingId} {
		h.Write(strconv.AppendInt(nil, int64(len(s)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// call carries out what is still open, after one more look for newer targets.
func (d *desk) call(ctx context.Context, chores []*chore) error {
	var open []*chore
	d.s.mu.Lock()
	now := d.s.deps.Now()
	for _, c := range chores {
		switch {
		case c.settled:
		case c.e.next != nil && compare(c.e.next.target.Version, c.j.target.Version) > 0:
			c.settled = true
		default:
			c.e.attempts++
			if c.e.started.IsZero() {
				c.e.started = now
			}
			open = append(open, c)
		}
	}
	d.s.mu.Unlock()
	if len(open) == 0 {
		return nil
	}
	kind := schemas.CommandKind(open[0].j.target.Command)
	for _, c := range open {
		c.span = d.s.deps.Tracer.PushWrite(d.to.Connector, d.account, c.id, c.j.trace, len(open))
	}
	d.s.commandClaim.Pass()
	callCtx, cancel := context.WithTimeout(ctx, d.s.cfg().CallTimeout)
	results, err := d.write(callCtx, open)
	cancel()
	d.s.commandCalled.Pass()
	if len(results) != len(open) {
		if err == nil {
			err = fmt.Errorf("connector %s gave %d results for %d commands", d.to.Connector, len(results), len(open))
		}
		results = make([]connectors.Result, len(open))
	}
	d.s.metrics.calls.WithLabelValues(d.account, kind, class(results, err)).Inc()
	for i, c := range open {
		c.take(results[i], err)
		c.span.End(said(c.result), c.result.Outcome != event.Outcome_OUTCOME_ACCEPTED, 1)
	}
	return err
}

// write calls the connector.
func (d *desk) write(ctx context.Context, open []*chore) ([]connectors.Result, error) {
	c := open[0]
	order := c.j.target.OrderId
	one := func(r connectors.Result, err error) ([]connectors.Result, error) { return []connectors.Result{r}, err }
	switch a := c.j.target.Command.Action.(type) {
	case *event.Command_Price:
		writes := make([]connectors.PriceWrite, len(open))
		for i, c := range open {
			p := c.j.target.Command.GetPrice()
			writes[i] = connectors.PriceWrite{ListingID: p.ListingId, ProductID: p.ProductId, SKU: p.Sku, Price: c.amount, CommandID: c.id}
		}
		return d.to.Price.PushPrice(ctx, writes)
	case *event.Command_Shipment:
		s := a.Shipment
		return one(d.to.Fulfilment.PushFulfilment(ctx, connectors.FulfilmentWrite{
			OrderID: order, Lines: quantities(s.Lines), CarrierCode: s.CarrierCode, CarrierName: s.CarrierName,
			Tracking: s.Tracking, TrackingURL: s.TrackingUrl, Notify: s.Notify, CommandID: c.id,
		}))
	case *event.Command_Cancellation:
		k := a.Cancellation
		return one(d.to.Cancel.CancelOrder(ctx, connectors.CancelWrite{
			OrderID: order, Reason: k.Reason, Restock: k.Restock, Notify: k.Notify, CommandID: c.id,
		}))
	case *event.Command_Refund:
		r := a.Refund
		return one(d.to.Refund.PushRefund(ctx, connectors.RefundWrite{
			OrderID: order, PaymentID: r.PaymentId, Lines: quantities(r.Lines), Amount: c.amount, Note: r.Note, Restock: r.Restock, CommandID: c.id,
		}))
	}
	return nil, fmt.Errorf("command %s is of no known kind: %w", c.j.target.Command.GetId(), connectors.ErrPermanent)
}

func quantities(lines []*event.CommandLine) (all []connectors.LineQuantity) {
	for _, l := range lines {
		all = append(all, connectors.LineQuantity{LineID: l.LineId, Quantity: l.Quantity})
	}
	return all
}

// take is what one answer means.
func (c *chore) take(r connectors.Result, callErr error) {
	switch {
	case r.Outcome == event.Outcome_OUTCOME_ACCEPTED || r.Outcome == event.Outcome_OUTCOME_REFUSED:
		c.settled, c.over, c.result = true, true, r
	case r.Outcome == event.Outcome_OUTCOME_NOT_SENT && errors.Is(callErr, connectors.ErrPermanent):
		c.settle(event.Outcome_OUTCOME_REFUSED, "permanent", callErr.Error())
	case r.Outcome == event.Outcome_OUTCOME_NOT_SENT && r.Sibling:
		c.e.attempts-- // no attempt at it was made: the next call follows at once
	default:
		if r.Outcome != event.Outcome_OUTCOME_NOT_SENT {
			r.Outcome = event.Outcome_OUTCOME_UNKNOWN // and what does not exist
		}
		if callErr != nil && r.Code == "" {
			r.Code, r.Message = connectors.Class(callErr), callErr.Error()
		}
		c.result, c.delay = r, r.RetryAfter
	}
}

// judge decides what a failure means for the desk, and for what is left open. A platform that
// names a time means the command, unless it says so of the whole call.
func (d *desk) judge(err error, chores []*chore) {
	definite, failed := 0, 0
	now := d.s.deps.Now()
	for _, c := range chores {
		switch o := c.result.Outcome; {
		case o == event.Outcome_OUTCOME_NOT_SENT || o == event.Outcome_OUTCOME_UNKNOWN:
			if c.delay <= 0 {
				failed++
				c.delay = backoff(d.s.cfg(), int(c.e.attempts))
			}
			if decided := c.j.target.DecidedMs; decided > 0 && now.Sub(time.UnixMilli(decided)) > d.s.cfg().CommandPatience {
				c.settled, c.over, c.gaveUp = true, true, true
			}
		case c.id != "" && c.over && c.e.attempts > 0:
			definite++
		}
	}
	var retry *connectors.RetryAfterError
	switch {
	case errors.Is(err, connectors.ErrNeedsAuthorisation):
		d.unauthorise(err)
	case errors.As(err, &retry):
		d.failures++
		d.park(retry.After)
	case definite > 0:
		d.failures = 0
		d.authorise()
	case err != nil || failed > 0:
		d.failures++
		d.park(0)
		if n := d.failures; err != nil && n&(n-1) == 0 {
			d.s.deps.Log.Warn("carrying out commands failed and is tried again", "account", d.account, "failures", n, "err", err)
		}
	}
}

// record makes what became of a batch durable, and then lets others at it. It is false when
// ctx ended before.
func (d *desk) record(ctx context.Context, chores []*chore) bool {
	var records []kafka.Record
	add := func(r kafka.Record, m interface{ MarshalVTStrict() ([]byte, error) }) {
		b, err := m.MarshalVTStrict()
		if err != nil {
			// Our own message cannot be encoded: it would not be the next time either.
			d.s.deps.Log.Error("an outcome is not recorded", "account", d.account, "topic", r.Topic.Name, "err", err)
			return
		}
		r.Value = b
		records = append(records, r)
	}
	for _, c := range chores {
		if c.result.Outcome == event.Outcome_OUTCOME_UNSPECIFIED {
			continue
		}
		if bit := passing(c.result.Outcome); bit != 0 && !c.gaveUp {
			if c.e.told&bit != 0 {
				continue
			}
			c.e.told |= bit
		}
		o := d.outcome(c)
		word := label(o.Outcome)
		if o.GaveUp {
			word = "gave-up"
		}
		d.s.metrics.commands.WithLabelValues(d.account, o.Kind, word).Inc()
		headers := trace(c.j.trace)
		if c.span != nil {
			headers = trace([]byte(c.span.TraceParent()))
		}
		key := []byte(c.e.key)
		add(kafka.Record{Topic: schemas.CommandOutcomes, Key: key, Headers: headers}, o)
		id := sha256.Sum256([]byte(o.WriteId + "/" + versionText(o.TargetVersion) + "/" + word))
		add(kafka.Record{Topic: schemas.CommandsIn, Key: key, Headers: headers},
			&event.CommandInput{EventId: id[:16], Input: &event.CommandInput_Outcome{Outcome: o}})
	}
	for _, a := range d.alerts {
		add(kafka.Record{Topic: schemas.Alerts, Key: []byte(a.Kind + "/" + a.Subject)}, a)
	}
	if len(records) > 0 && !d.s.persist(ctx, d.account, "recording what became of commands", func() error { return d.s.deps.Publish.Produce(ctx, records) }) {
		return false
	}
	d.alerts = nil
	d.s.commandRecorded.Pass()
	d.letGo(ctx, chores)
	return true
}

// letGo lets others at what was begun. Where that fails it ends by itself.
func (d *desk) letGo(ctx context.Context, chores []*chore) {
	var keys []string
	for _, c := range chores {
		if c.begun {
			keys = append(keys, c.e.key)
		}
	}
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoTimeout)
	defer cancel()
	if err := d.s.deps.Commands.End(ctx, d.account, keys); err != nil {
		d.s.deps.Log.Warn("commands are held longer than they need be", "account", d.account, "err", err)
	}
}

// letGoTimeout is short: a stop waits for it.
const letGoTimeout = time.Second

func (d *desk) outcome(c *chore) *event.CommandOutcome {
	t, now := c.j.target, d.s.deps.Now().UnixMilli()
	o := &event.CommandOutcome{
		Connector: d.to.Connector, Account: t.Account, OrderId: t.OrderId, ListingId: t.ListingId,
		CommandId: t.Command.Id, Kind: schemas.CommandKind(t.Command), TargetVersion: t.Version, Outcome: c.result.Outcome,
		Code: clip(c.result.Code, 100), Message: clip(c.result.Message, 500), Attempts: c.e.attempts,
		StartedMs: now, FinishedMs: now, GaveUp: c.gaveUp, WriteId: commandID(t),
	}
	if !c.e.started.IsZero() {
		o.StartedMs = c.e.started.UnixMilli()
	}
	return o
}

// finish lets go of what is over and puts the rest back.
func (d *desk) finish(chores []*chore) {
	var done []func()
	now := d.s.deps.Now()
	d.s.mu.Lock()
	for _, c := range chores {
		e := c.e
		e.running = false
		switch {
		case c.over || e.next != nil:
			done = append(done, e.cur.done)
			e.part.pending--
			if e.next == nil {
				delete(d.errands, e.key)
				break
			}
			e.replace(*e.next)
			d.schedule(e, now)
		case e.revoked:
			e.part.pending--
			delete(d.errands, e.key)
		default:
			d.schedule(e, now.Add(c.delay))
		}
		e.part.busy--
		e.part.wake()
	}
	d.s.mu.Unlock()
	for _, f := range done {
		f()
	}
}

// abandon leaves what was under way when the sink was stopped hard: nothing of it is done, and
// it is offered again, to whoever is next.
func (d *desk) abandon(chores []*chore) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	for _, c := range chores {
		c.e.leave(c.e.next != nil)
		delete(d.errands, c.e.key)
	}
}

// rewrite writes targets to the end of their topic again: what a late writer's record stands
// behind, and what waits so long that it holds back the offset that it shares with others. The
// record that comes back takes the place of the one that is held.
func (d *desk) rewrite(ctx context.Context, all []repair) {
	records := make([]kafka.Record, 0, len(all))
	for _, r := range all {
		b, err := r.target.MarshalVTStrict()
		if err != nil {
			d.s.deps.Log.Error("a command is not written again", "account", d.account, "err", err)
			continue
		}
		records = append(records, kafka.Record{Topic: schemas.PushCommands, Key: []byte(commandKey(r.target)), Value: b})
	}
	if !d.s.persist(ctx, d.account, "writing commands again", func() error { return d.s.deps.Publish.Produce(ctx, records) }) {
		return
	}
	for _, r := range all {
		if r.done != nil {
			r.done()
		}
	}
}
