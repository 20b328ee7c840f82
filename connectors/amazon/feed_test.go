package amazon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/connectors/connectortest"
)

// TestDocumentsAreElsewhere: an address that Amazon names is gone to only where it is public, is
// not followed anywhere else, and is told to nobody.
func TestDocumentsAreElsewhere(t *testing.T) {
	const secret = "X-Amz-Signature=hush"
	for name, where := range map[string]string{"a private address": "https://10.0.0.1/feed?" + secret, "plain text": "http://example.com/feed?" + secret, "no address": "://?" + secret} {
		t.Run(name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			stocked(s)
			id, _ := soldAndShipped(t, s, false)
			w := connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(10)}
			elsewhere := func(path string) http.Handler {
				return answering(s.Simulator, path, func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", "application/json")
					_, _ = fmt.Fprintf(rw, `{"feedDocumentId":"d","url":%q}`, where)
				})
			}
			s.between = elsewhere("/2021-06-30/documents")
			if r := s.refund(t, w); r.Outcome != notSent || s.Stats().Feeds != 0 || strings.Contains(r.Message, "hush") {
				t.Errorf("the upload: %v, %d feeds", r, s.Stats().Feeds)
			}
			s.between = s.Simulator
			s.refund(t, w)
			s.between = elsewhere("/2021-06-30/documents/")
			if r := s.refund(t, w); r.Outcome != unknown || strings.Contains(r.Message, "hush") {
				t.Errorf("the report: %v", r)
			}
			s.between = s.Simulator
			if r := s.refundSettled(t, w); r.Outcome != accepted || s.Stats().Feeds != 1 {
				t.Errorf("in the end: %v, %d feeds", r, s.Stats().Feeds)
			}
		})
	}
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, _ := soldAndShipped(t, s, false)
	s.between = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			http.Redirect(rw, r, "https://elsewhere.example/", http.StatusTemporaryRedirect)
			return
		}
		s.ServeHTTP(rw, r)
	})
	if r := s.refund(t, connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(10)}); r.Outcome != notSent || s.Stats().Feeds != 0 {
		t.Errorf("a redirect: %v, %d feeds", r, s.Stats().Feeds)
	}
}

// TestSlowQuotasAreNotWaitedFor: who has to wait for minutes comes back, and has done nothing.
func TestSlowQuotasAreNotWaitedFor(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, _ := soldAndShipped(t, s, false)
	s.deps.Limiter = &miser{Limiter: &connectortest.Limiter{}, of: "createFeed"}
	s.again(t)
	if r := s.refund(t, connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(10)}); r.Outcome != notSent || r.RetryAfter != opCreateFeed.pause {
		t.Errorf("the quota of createFeed is spent: %v", r)
	}
	if st := s.Stats(); st.Feeds != 0 || st.Calls["createFeedDocument"] != 0 {
		t.Errorf("%d feeds, %d documents", st.Feeds, st.Calls["createFeedDocument"])
	}
}

// TestCreateFeedIsThrottled: a feed that Amazon did not take was certainly not made, and is sent
// again as soon as Amazon takes it.
func TestCreateFeedIsThrottled(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, _ := soldAndShipped(t, s, false)
	w := connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(10)}
	k := connectors.CancelWrite{OrderID: s.place(t, "85123A", 1, true), CommandID: "two"}
	s.between = answering(s.Simulator, "/2021-06-30/feeds", func(rw http.ResponseWriter, _ *http.Request) { fail(rw, 429, "QuotaExceeded", "slow") })
	if r := s.refund(t, w); r.Outcome != notSent || r.RetryAfter != opCreateFeed.pause {
		t.Errorf("a refund: %v", r)
	}
	if r := s.cancel(t, k); r.Outcome != notSent || r.RetryAfter != opCreateFeed.pause {
		t.Errorf("a cancellation: %v", r)
	}
	s.between = s.Simulator
	if first, second := s.refund(t, w), s.cancel(t, k); first.Code != codeProgress || second.Code != codeProgress || s.Stats().Feeds != 2 {
		t.Errorf("at once: %v and %v, %d feeds", first, second, s.Stats().Feeds)
	}
}

// miser gives no quota of one operation.
type miser struct {
	*connectortest.Limiter
	of string
}

func (m *miser) Wait(ctx context.Context, operation string, cost float64, p connectors.Priority) error {
	if operation == m.of {
		<-ctx.Done()
		return ctx.Err()
	}
	return m.Limiter.Wait(ctx, operation, cost, p)
}

// TestNothingIsSentThatIsNotWrittenDown: a store that fails, or that has been overtaken, keeps a
// feed from being made.
func TestNothingIsSentThatIsNotWrittenDown(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, _ := soldAndShipped(t, s, false)
	w := connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(10)}
	c := connectors.CancelWrite{OrderID: s.place(t, "85123A", 1, true), CommandID: "two"}
	if r := s.cancel(t, connectors.CancelWrite{OrderID: "202-0000000-0000000", CommandID: "x"}); r.Code != codeNoOrder {
		t.Fatal(r) // there is a token
	}
	store := s.deps.Tokens.(*connectortest.Tokens)
	store.Fail(errors.New("disk full"))
	if r := s.refund(t, w); r.Outcome != notSent {
		t.Errorf("a refund: %v", r)
	}
	if r := s.cancel(t, c); r.Outcome != notSent {
		t.Errorf("a cancellation: %v", r)
	}
	store.Fail(nil)
	for _, order := range []string{w.OrderID, c.OrderID} {
		if err := store.Save(t.Context(), "amazon/shop-uk/feeds/"+order, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.refund(t, w); r.Outcome == accepted || r.Outcome == unknown {
		t.Errorf("a journal that cannot be read: %v", r)
	}
	if r := s.cancel(t, c); r.Outcome == accepted || r.Outcome == unknown {
		t.Errorf("a journal that cannot be read: %v", r)
	}
	if got := s.Stats().Feeds; got != 0 {
		t.Errorf("%d feeds were made", got)
	}
}

// TestAsleep: a process that slept since it wrote down what it is about to send does not send it.
func TestAsleep(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, _ := soldAndShipped(t, s, false)
	s.refund(t, connectors.RefundWrite{OrderID: "202-0000000-0000000", CommandID: "x", Amount: pounds(10)}) // there is a token
	store := &sleepy{Tokens: s.deps.Tokens.(*connectortest.Tokens), after: func(name string) {
		if strings.HasSuffix(name, id) {
			s.clock.Add(time.Hour)
		}
	}}
	s.deps.Tokens = store
	s.again(t)
	w := connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(10)}
	if r := s.refund(t, w); r.Outcome != notSent || s.Stats().Feeds != 0 {
		t.Errorf("got %v, %d feeds", r, s.Stats().Feeds)
	}
	store.after = func(string) {}
	if r := s.refundSettled(t, w); r.Outcome != accepted || s.Stats().Feeds != 1 {
		t.Errorf("awake: %v, %d feeds", r, s.Stats().Feeds)
	}
}

// sleepy is a store after whose saves time passes.
type sleepy struct {
	*connectortest.Tokens
	after func(name string)
}

func (s *sleepy) Save(ctx context.Context, name string, value []byte) error {
	err := s.Tokens.Save(ctx, name, value)
	s.after(name)
	return err
}
