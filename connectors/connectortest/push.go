package connectortest

import (
	"context"
	"errors"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// PushWorld is a platform with a stock pusher on it.
type PushWorld struct {
	// Writes are at least three valid targets; quantity and command are set by the suite.
	Writes []connectors.StockWrite
	// Missing is a target that the platform does not have.
	Missing connectors.StockWrite
	// Shown is what the platform shows, asked behind the connector's back.
	Shown func(w connectors.StockWrite) int64
	// Effects counts the writes that the platform carried out.
	Effects func() int64
	// Fault makes the platform fail; "" ends it. Faults: "refuse" (success that is none),
	// "after" (an error after the effect), "throttle", "outage" (nothing is done).
	Fault func(name string)
	// CompareAndSet: the platform compares with Expected.
	CompareAndSet bool
	// AllOrNothing: one refused write of a batch keeps the others from being done.
	AllOrNothing bool
}

func push(r reporter, s Suite) {
	r.Helper()
	p, w := s.Connector.Stock, s.Push
	if p == nil {
		r.Errorf("there is a world for pushes and no pusher")
		return
	}
	if p.Batch() < 1 {
		r.Errorf("batch of %d", p.Batch())
	}
	ctx := context.Background()
	write := func(i int, quantity int64, command string, expected *int64) connectors.StockWrite {
		t := w.Writes[i]
		t.Quantity, t.CommandID, t.Expected = quantity, command, expected
		return t
	}
	send := func(writes ...connectors.StockWrite) []connectors.Result {
		r.Helper()
		results, err := p.PushStock(ctx, writes)
		if err != nil {
			r.Errorf("the whole call failed: %v", err)
		}
		if len(results) != len(writes) {
			r.Errorf("%d results of %d writes", len(results), len(writes))
			results = make([]connectors.Result, len(writes))
		}
		return results
	}
	is := func(what string, got connectors.Result, want ...event.Outcome) {
		r.Helper()
		for _, o := range want {
			if got.Outcome == o {
				return
			}
		}
		r.Errorf("%s: outcome %s (%s %s), want one of %v", what, got.Outcome, got.Code, got.Message, want)
	}
	shows := func(what string, t connectors.StockWrite, want int64) {
		r.Helper()
		if got := w.Shown(t); got != want {
			r.Errorf("%s: the platform shows %d, want %d", what, got, want)
		}
	}
	const (
		accepted = event.Outcome_OUTCOME_ACCEPTED
		refused  = event.Outcome_OUTCOME_REFUSED
		notSent  = event.Outcome_OUTCOME_NOT_SENT
		unknown  = event.Outcome_OUTCOME_UNKNOWN
	)
	for i, res := range send(write(0, 7, "c1", nil), write(1, 8, "c2", nil)) {
		is("a plain write", res, accepted)
		shows("a plain write", w.Writes[i], int64(7+i))
	}
	before := w.Effects()
	is("the same command again", send(write(0, 7, "c1", nil), write(1, 8, "c2", nil))[0], accepted)
	if got := w.Effects(); got != before {
		r.Errorf("the same commands again had %d more effects", got-before)
	}
	is("zero", send(write(2, 0, "c3", nil))[0], accepted)
	shows("zero", w.Writes[2], 0)

	// What is shown is read back as the platform shows it.
	refs := []connectors.StockRef{}
	for _, t := range append(w.Writes[:2:2], w.Missing) {
		refs = append(refs, connectors.StockRef{ListingID: t.ListingID, StockID: t.StockID, Location: t.Location})
	}
	shown, err := p.ReadStock(ctx, refs)
	switch {
	case err != nil || len(shown) != 3:
		r.Errorf("reading back: %d answers to 3 references, %v", len(shown), err)
	case shown[0] == nil || *shown[0] != 7 || shown[1] == nil || *shown[1] != 8:
		r.Errorf("reading back: got %v, %v, want 7 and 8", shown[0], shown[1])
	case shown[2] != nil:
		r.Errorf("reading back a listing that does not exist: %d, want nil", *shown[2])
	}

	if w.CompareAndSet {
		seven, nine := int64(7), int64(9)
		res := send(write(0, 5, "c4", &nine))[0]
		is("an expectation that is wrong", res, refused)
		if !res.Stale {
			r.Errorf("an expectation that is wrong is not marked stale")
		}
		shows("an expectation that is wrong", w.Writes[0], 7)
		is("an expectation that is right", send(write(0, 6, "c5", &seven))[0], accepted)
		shows("an expectation that is right", w.Writes[0], 6)
	}

	missing := w.Missing
	missing.Quantity, missing.CommandID = 1, "c6"
	results := send(write(0, 4, "c7", nil), missing)
	is("a target that does not exist", results[1], refused)
	if w.AllOrNothing {
		is("its neighbour", results[0], notSent)
	}
	if applied := w.Shown(w.Writes[0]) == 4; applied != (results[0].Outcome == accepted) {
		r.Errorf("the neighbour of a refused write: outcome %s, done %v", results[0].Outcome, applied)
	}

	is("before the fault", send(write(0, 10, "c8", nil))[0], accepted)
	w.Fault("refuse")
	is("a success that is none", send(write(0, 11, "c9", nil))[0], refused, notSent)
	shows("a success that is none", w.Writes[0], 10)

	w.Fault("throttle")
	res := send(write(0, 12, "c10", nil))[0]
	is("throttled", res, notSent)
	if res.RetryAfter <= 0 {
		r.Errorf("throttled, and nothing says for how long")
	}

	w.Fault("outage")
	is("the platform is away", send(write(0, 13, "c11", nil))[0], notSent, unknown)

	w.Fault("after")
	before = w.Effects()
	is("an error after the effect", send(write(0, 14, "c12", nil))[0], unknown)
	shows("an error after the effect", w.Writes[0], 14)
	w.Fault("")
	is("the same command after that", send(write(0, 14, "c12", nil))[0], accepted)
	if got := w.Effects() - before; got != 1 {
		r.Errorf("one command had %d effects", got)
	}
	back, err := p.ReadStock(ctx, refs[:1])
	if err != nil || len(back) != 1 || back[0] == nil || *back[0] != 14 {
		r.Errorf("reading back after that: %v, %v, want 14", back, err)
	}

	ended, cancel := context.WithCancel(ctx)
	cancel()
	results, err = p.PushStock(ended, []connectors.StockWrite{write(0, 15, "c13", nil)})
	if err == nil && (len(results) != 1 || results[0].Outcome == accepted) || len(results) == 1 && results[0].Outcome == accepted {
		r.Errorf("a call whose context has ended: %v, %v", results, err)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		r.Errorf("a call whose context has ended: %v, want context.Canceled", err)
	}
	shows("a call whose context has ended", w.Writes[0], 14)
}
