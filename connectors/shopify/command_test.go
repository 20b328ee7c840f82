package shopify

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// gate stands before a shop and does something to the calls of one document.
type gate struct {
	next http.Handler
	name string
	// with takes the call over; forward lets the shop do it and returns its answer.
	with func(w http.ResponseWriter, forward func() *httptest.ResponseRecorder)

	mu    sync.Mutex
	times int // how often it still does so
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	g.mu.Lock()
	hit := g.times > 0 && bytes.Contains(body, []byte(`"operationName":"`+g.name+`"`))
	if hit {
		g.times--
	}
	g.mu.Unlock()
	if !hit {
		g.next.ServeHTTP(w, r)
		return
	}
	g.with(w, func() *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		g.next.ServeHTTP(rec, r)
		return rec
	})
}

// behind opens another connection to the shop, through a gate.
func (s *shop) behind(t testing.TB, name string, times int, with func(w http.ResponseWriter, forward func() *httptest.ResponseRecorder)) *connectors.Connector {
	t.Helper()
	server := httptest.NewServer(&gate{next: s.Simulator, name: name, times: times, with: with})
	t.Cleanup(server.Close)
	plain := s.cfg.TestBaseURL
	s.cfg.TestBaseURL = server.URL
	defer func() { s.cfg.TestBaseURL = plain }()
	return s.again(t)
}

// command is one of the four writes, on a shop of its own.
type command struct {
	name string
	doc  *document
	// prepare makes what it works on; run sends the command, always the same one.
	prepare func(t *testing.T, s *shop) (run func(ctx context.Context, c *connectors.Connector) (connectors.Result, error))
	// effects counts what the shop did.
	effects func(st simulator.Stats) int64
}

func commands() []command {
	order := func(t *testing.T, s *shop) simulator.Order {
		return s.order(t, simulator.OrderSpec{Paid: true, Delivery: "3.00", Lines: []simulator.LineSpec{{Variant: stocked(s)[0].Variants[0], Quantity: 4}}})
	}
	return []command{
		{"price", &docSetPrices, func(_ *testing.T, s *shop) func(context.Context, *connectors.Connector) (connectors.Result, error) {
			p := stocked(s)[1]
			w := connectors.PriceWrite{ListingID: stringID(p.Variants[0]), ProductID: stringID(p.ID), Price: pounds(799), CommandID: "c1"}
			return func(ctx context.Context, c *connectors.Connector) (connectors.Result, error) {
				results, err := c.Price.PushPrice(ctx, []connectors.PriceWrite{w})
				return results[0], err
			}
		}, func(st simulator.Stats) int64 { return st.Prices }},
		{"fulfilment", &docFulfil, func(t *testing.T, s *shop) func(context.Context, *connectors.Connector) (connectors.Result, error) {
			o := order(t, s)
			w := connectors.FulfilmentWrite{OrderID: stringID(o.ID), Lines: []connectors.LineQuantity{{LineID: stringID(o.Lines[0].ID), Quantity: 2}}, CarrierCode: "ups", Tracking: "1Z999", CommandID: "c1"}
			return func(ctx context.Context, c *connectors.Connector) (connectors.Result, error) {
				return c.Fulfilment.PushFulfilment(ctx, w)
			}
		}, func(st simulator.Stats) int64 { return st.Fulfilments }},
		{"fulfilment without number", &docFulfil, func(t *testing.T, s *shop) func(context.Context, *connectors.Connector) (connectors.Result, error) {
			o := order(t, s)
			w := connectors.FulfilmentWrite{OrderID: stringID(o.ID), Lines: []connectors.LineQuantity{{LineID: stringID(o.Lines[0].ID), Quantity: 2}}, CommandID: "c1"}
			return func(ctx context.Context, c *connectors.Connector) (connectors.Result, error) {
				return c.Fulfilment.PushFulfilment(ctx, w)
			}
		}, func(st simulator.Stats) int64 { return st.Fulfilments }},
		{"fulfilment of everything", &docFulfil, func(t *testing.T, s *shop) func(context.Context, *connectors.Connector) (connectors.Result, error) {
			w := connectors.FulfilmentWrite{OrderID: stringID(order(t, s).ID), Tracking: "1Z999", CommandID: "c1"}
			return func(ctx context.Context, c *connectors.Connector) (connectors.Result, error) {
				return c.Fulfilment.PushFulfilment(ctx, w)
			}
		}, func(st simulator.Stats) int64 { return st.Fulfilments }},
		{"cancel", &docCancel, func(t *testing.T, s *shop) func(context.Context, *connectors.Connector) (connectors.Result, error) {
			w := connectors.CancelWrite{OrderID: stringID(order(t, s).ID), Reason: "fraud", Restock: true, CommandID: "c1"}
			return func(ctx context.Context, c *connectors.Connector) (connectors.Result, error) {
				return c.Cancel.CancelOrder(ctx, w)
			}
		}, func(st simulator.Stats) int64 { return st.Cancellations }},
		{"refund", &docRefundCreate, func(t *testing.T, s *shop) func(context.Context, *connectors.Connector) (connectors.Result, error) {
			o := order(t, s)
			w := connectors.RefundWrite{OrderID: stringID(o.ID), Lines: []connectors.LineQuantity{{LineID: stringID(o.Lines[0].ID), Quantity: 1}}, Amount: pounds(255), Restock: event.Restock_RESTOCK_CANCEL, CommandID: "c1"}
			return func(ctx context.Context, c *connectors.Connector) (connectors.Result, error) {
				return c.Refund.PushRefund(ctx, w)
			}
		}, func(st simulator.Stats) int64 { return st.Refunds }},
	}
}

func pounds(minor int64) *event.Money { return &event.Money{Minor: minor, Currency: "GBP"} }

// order places an order and returns it.
func (s *shop) order(t testing.TB, spec simulator.OrderSpec) simulator.Order {
	t.Helper()
	id, err := s.PlaceOrder(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s.truth(t, id)
}

func (s *shop) truth(t testing.TB, id int64) simulator.Order {
	t.Helper()
	o, ok := s.Order(id)
	if !ok {
		t.Fatalf("no order %d", id)
	}
	return o
}

const (
	outcomeAccepted = event.Outcome_OUTCOME_ACCEPTED
	outcomeRefused  = event.Outcome_OUTCOME_REFUSED
	outcomeNotSent  = event.Outcome_OUTCOME_NOT_SENT
	outcomeUnknown  = event.Outcome_OUTCOME_UNKNOWN
)

// is checks one result.
func is(t testing.TB, what string, r connectors.Result, err error, want event.Outcome) {
	t.Helper()
	if err != nil || r.Outcome != want {
		t.Errorf("%s: %s (%s %s), %v; want %s", what, r.Outcome, r.Code, r.Message, err, want)
	}
	if r.Outcome != outcomeAccepted && r.Code == "" {
		t.Errorf("%s: %s without a code", what, r.Outcome)
	}
}

// each runs f for every command, or for the named ones.
func each(t *testing.T, f func(t *testing.T, s *shop, c command, run func(context.Context, *connectors.Connector) (connectors.Result, error)), names ...string) {
	for _, c := range commands() {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			f(t, s, c, c.prepare(t, s))
		})
	}
}

func TestCommandsAreCarriedOutOnce(t *testing.T) {
	each(t, func(t *testing.T, s *shop, c command, run func(context.Context, *connectors.Connector) (connectors.Result, error)) {
		for n := range 3 {
			r, err := run(t.Context(), s.conn)
			is(t, "attempt", r, err, outcomeAccepted)
			if known := r.Message == doneBefore().Message; known != (n > 0) && c.name != "price" {
				t.Errorf("attempt %d: known to be done before: %v", n+1, known)
			}
			// A price is absolute: to write it again changes nothing.
			if got := c.effects(s.Stats()); got != 1 && c.name != "price" {
				t.Errorf("after attempt %d: %d effects", n+1, got)
			}
		}
	})
}

// The answer is lost behind the effect: it is asked whether the effect is there.
func TestCommandsWhoseAnswerIsLost(t *testing.T) {
	each(t, func(t *testing.T, s *shop, c command, run func(context.Context, *connectors.Connector) (connectors.Result, error)) {
		s.SetFaults(simulator.Faults{FailAfter: 1})
		r, err := run(t.Context(), s.conn)
		is(t, "502 after the effect", r, err, outcomeAccepted)
		s.SetFaults(simulator.Faults{})
		r, err = run(t.Context(), s.conn)
		is(t, "again", r, err, outcomeAccepted)
		if got := c.effects(s.Stats()); got != 1 && c.name != "price" {
			t.Errorf("%d effects", got)
		}
	})
}

// The process is killed behind the effect: another one comes with the same command.
func TestCommandsThatAreKilledAfterTheEffect(t *testing.T) {
	each(t, func(t *testing.T, s *shop, c command, run func(context.Context, *connectors.Connector) (connectors.Result, error)) {
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		conn := s.behind(t, c.doc.name, 1, func(_ http.ResponseWriter, forward func() *httptest.ResponseRecorder) {
			forward()
			kill()
			panic(http.ErrAbortHandler)
		})
		r, err := run(ctx, conn)
		if r.Outcome != outcomeUnknown {
			t.Errorf("killed: %+v, %v; want unknown", r, err)
		}
		if c.name == "cancel" {
			s.check(t, s.conn) // the job is carried out before any other call
		}
		if got := c.effects(s.Stats()); got != 1 {
			t.Fatalf("%d effects before the next attempt", got)
		}
		r, err = run(t.Context(), s.again(t))
		is(t, "the next process", r, err, outcomeAccepted)
		if got := c.effects(s.Stats()); got != 1 && c.name != "price" {
			t.Errorf("%d effects", got)
		}
	})
}

// An error before the effect looks the same as one behind it: unknown, until it is sent again.
func TestCommandsThatFailBeforeTheEffect(t *testing.T) {
	each(t, func(t *testing.T, s *shop, c command, run func(context.Context, *connectors.Connector) (connectors.Result, error)) {
		conn := s.behind(t, c.doc.name, 1, func(w http.ResponseWriter, _ func() *httptest.ResponseRecorder) {
			w.WriteHeader(http.StatusBadGateway)
		})
		r, err := run(t.Context(), conn)
		is(t, "502 before the effect", r, err, outcomeUnknown)
		r, err = run(t.Context(), conn)
		is(t, "again", r, err, outcomeAccepted)
		if got := c.effects(s.Stats()); got != 1 {
			t.Errorf("%d effects", got)
		}
	})
}

// 200 is not success, a full bucket and an outage are nothing done, and a token that nobody
// knows is the whole connection's business.
func TestCommandsThatAreRefused(t *testing.T) {
	each(t, func(t *testing.T, s *shop, c command, run func(context.Context, *connectors.Connector) (connectors.Result, error)) {
		s.SetFaults(simulator.Faults{Refuse: 1})
		r, err := run(t.Context(), s.conn)
		is(t, "200 with userErrors", r, err, outcomeRefused)
		s.SetFaults(simulator.Faults{Throttle: 1})
		r, err = run(t.Context(), s.conn)
		is(t, "throttled", r, err, outcomeNotSent)
		if r.RetryAfter <= 0 {
			t.Error("throttled, and nothing says for how long")
		}
		s.SetFaults(simulator.Faults{})
		for _, garbage := range []string{`{"data":{}}`, `{"data":null}`, `<html>`, `{"data":{"` + strings.ToLower(c.name) + `":{}}}`, `{"data":{`} {
			conn := s.behind(t, c.doc.name, 1, func(w http.ResponseWriter, _ func() *httptest.ResponseRecorder) { _, _ = io.WriteString(w, garbage) })
			r, err = run(t.Context(), conn)
			is(t, "an answer of "+garbage, r, err, outcomeUnknown)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if r, err = run(ended, s.conn); r.Outcome == outcomeAccepted || r.Outcome == outcomeRefused {
			t.Errorf("a call whose context has ended: %+v, %v", r, err)
		}
		if got := c.effects(s.Stats()); got != 0 {
			t.Errorf("%d effects", got)
		}
		r, err = run(t.Context(), s.conn)
		is(t, "after all that", r, err, outcomeAccepted)
	})
}

func TestCommandsDuringAnOutage(t *testing.T) {
	each(t, func(t *testing.T, s *shop, c command, run func(context.Context, *connectors.Connector) (connectors.Result, error)) {
		s.check(t, s.conn) // the token and the currency are there
		s.SetFaults(simulator.Faults{Outage: true})
		r, err := run(t.Context(), s.conn)
		if r.Outcome != outcomeNotSent && (r.Outcome != outcomeUnknown || c.name != "price") || err != nil {
			t.Errorf("outage: %+v, %v", r, err)
		}
		if got := c.effects(s.Stats()); got != 0 {
			t.Errorf("%d effects", got)
		}
	}, "price", "refund") // each waits for the outage to pass
}

func TestCommandsWithoutTheirScope(t *testing.T) {
	for _, c := range commands() {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, simulator.Config{Scopes: []string{"read_orders", "read_products", "read_merchant_managed_fulfillment_orders", "read_locations"}}, nil)
			r, err := c.prepare(t, s)(t.Context(), s.conn)
			if err == nil || r.Outcome != outcomeNotSent {
				t.Errorf("got %+v, %v; want an error that the connection needs authorisation", r, err)
			}
		})
	}
}

// What is sent twice at once is done once, or is refused; never twice. Parts of a line are left
// out: their shipment has no key, and one call at a time for an account is the contract.
func TestCommandsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *shop, c command, run func(context.Context, *connectors.Connector) (connectors.Result, error)) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, _ = run(t.Context(), s.conn)
			}()
		}
		wg.Wait()
		if got := c.effects(s.Stats()); got != 1 {
			t.Errorf("%d effects", got)
		}
	}, "fulfilment of everything", "cancel", "refund")
}

func TestNoted(t *testing.T) {
	for _, tc := range []struct {
		note, command string
		most          int
		want          string
	}{
		{"", "c1", 255, "[crossdock c1]"},
		{" damaged ", "c1", 255, "damaged [crossdock c1]"},
		{strings.Repeat("é", 300), "c1", 20, "ééééé [crossdock c1]"},
		{"damaged", "c1", 5, "[crossdock c1]"},
	} {
		if got := noted(tc.note, tc.command, tc.most); got != tc.want {
			t.Errorf("noted(%q) = %q, want %q", tc.note, got, tc.want)
		}
	}
	if strings.Contains(marker("c10"), marker("c1")) {
		t.Error("one command's mark is found in another's")
	}
}

func TestOrdersThatAreNone(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	for _, id := range []string{"", "abc", "12x", "gid://shopify/Product/12", "99999999999999", "-1"} {
		for name, run := range map[string]func() (connectors.Result, error){
			"fulfilment": func() (connectors.Result, error) {
				return s.conn.Fulfilment.PushFulfilment(t.Context(), connectors.FulfilmentWrite{OrderID: id, Tracking: "1", CommandID: "c"})
			},
			"cancel": func() (connectors.Result, error) {
				return s.conn.Cancel.CancelOrder(t.Context(), connectors.CancelWrite{OrderID: id, CommandID: "c"})
			},
			"refund": func() (connectors.Result, error) {
				return s.conn.Refund.PushRefund(t.Context(), connectors.RefundWrite{OrderID: id, Amount: pounds(1), CommandID: "c"})
			},
		} {
			r, err := run()
			is(t, name+" of order "+id, r, err, outcomeRefused)
			if r.Code != codeNoOrder {
				t.Errorf("%s of order %q: code %s", name, id, r.Code)
			}
		}
	}
}
