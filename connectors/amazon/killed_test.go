package amazon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/connectors/connectortest"
)

// mayFail is the result of an attempt in which the process may have died.
func (*seller) mayFail(r connectors.Result, _ error) connectors.Result { return r }

// killedEverywhere carries out a command again and again. Each time the process dies at another
// place: at the n-th call to Amazon, before it or after its effect, or at the n-th save, before it
// or after. Then another process goes on. Or it lives, and the n-th save fails.
func killedEverywhere(t *testing.T, begin func(t *testing.T, s *seller) (attempt func() connectors.Result, check func() error)) {
	t.Helper()
	deaths := 0
	for _, at := range []string{"call", "save", "refusal"} {
		for _, after := range []bool{false, true} {
			for n := 1; n < 25; n++ {
				s := open(t, simulator.Config{FeedQueue: 3 * time.Second}, nil)
				s.directly(t)
				stocked(s)
				attempt, check := begin(t, s)
				killer := &killer{at: at, after: after, left: int64(n), next: s.Simulator}
				s.between = killer
				s.deps.Tokens = &mortal{s.deps.Tokens.(*connectortest.Tokens), killer}
				s.again(t)
				r := s.settled(t, func() connectors.Result {
					r := attempt()
					if killer.dead.CompareAndSwap(true, false) {
						deaths++
						s.again(t)
						return connectors.Result{Outcome: unknown} // nobody heard of it
					}
					return r
				})
				if r.Outcome != accepted {
					t.Errorf("killed at %s %d (after: %v): %v", at, n, after, r)
				}
				if err := check(); err != nil {
					t.Errorf("killed at %s %d (after: %v): %v", at, n, after, err)
				}
			}
		}
	}
	if deaths < 20 {
		t.Errorf("it died %d times: the test shows less than it says", deaths)
	}
}

// killer is a process's way to Amazon, and its end.
type killer struct {
	at    string
	after bool
	left  int64
	dead  atomic.Bool
	next  http.Handler
}

// strikes says whether this is where it dies.
func (k *killer) strikes(at string) bool {
	if k.at != at || k.left <= 0 {
		return false
	}
	k.left--
	return k.left == 0
}

func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	away := func() { http.Error(w, "nobody is there", http.StatusBadGateway) }
	if k.dead.Load() {
		away()
		return
	}
	if !k.strikes("call") {
		k.next.ServeHTTP(w, r)
		return
	}
	if k.after {
		k.next.ServeHTTP(&lost{header: http.Header{}}, r)
	}
	k.dead.Store(true)
	away()
}

// lost is an answer that nobody gets.
type lost struct {
	header http.Header
	body   bytes.Buffer
}

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(b []byte) (int, error) { return l.body.Write(b) }
func (*lost) WriteHeader(int)               {}

// mortal is a store whose user may die.
type mortal struct {
	*connectortest.Tokens
	killer *killer
}

var errDead = errors.New("the process is dead")

func (m *mortal) Save(ctx context.Context, name string, value []byte) error {
	if m.killer.dead.Load() {
		return errDead
	}
	refused := m.killer.strikes("refusal")
	if !refused && !m.killer.strikes("save") {
		return m.Tokens.Save(ctx, name, value)
	}
	if m.killer.after {
		_ = m.Tokens.Save(ctx, name, value)
	}
	m.killer.dead.Store(!refused)
	return errDead
}

// TestRefundsModel plays a desk that carries out refunds of several orders in any order, over an
// Amazon that loses answers, gives feeds up, cuts reports off and is away, with processes that
// begin anew and somebody else's feeds in between. No command gives back twice; what is told as
// done was done, and what is told as refused was not.
func TestRefundsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, simulator.Config{
			Seed: rapid.Uint64().Draw(rt, "seed"), FinanceDelay: 48 * time.Hour, FeedPage: 2,
			FeedQueue:     time.Duration(rapid.IntRange(0, 120).Draw(rt, "queue")) * time.Second,
			FeedListDelay: time.Duration(rapid.IntRange(0, 300).Draw(rt, "lag")) * time.Second,
		}, nil)
		s.directly(t)
		stocked(s)
		var all []connectors.RefundWrite
		results := map[string]connectors.Result{}
		for i := range 3 {
			id, lines := soldAndShipped(t, s, i == 1)
			for n := range 2 {
				all = append(all, connectors.RefundWrite{
					OrderID: id, CommandID: fmt.Sprintf("command-%d-%d", i, n), Lines: []connectors.LineQuantity{{LineID: lines[n], Quantity: 1}}, Amount: pounds(100),
				})
			}
		}
		attempt := func(w connectors.RefundWrite) {
			if r := results[w.CommandID]; r.Outcome == accepted || r.Outcome == refusedO {
				return // the book does not ask again
			}
			r, err := s.conn.Refund.PushRefund(t.Context(), w)
			if err != nil {
				rt.Fatal(err)
			}
			results[w.CommandID] = r
		}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			default:
				attempt(rapid.SampledFrom(all).Draw(rt, "command"))
			case 6, 7:
				s.clock.Add(time.Duration(rapid.IntRange(1, 900).Draw(rt, "seconds")) * time.Second)
			case 8:
				often := rapid.SampledFrom([]float64{0, 0.3}).Draw(rt, "often")
				s.SetFaults(simulator.Faults{
					FailAfter: often, FailBefore: often / 3, HTML: often / 3, FailUpload: often, ReportCut: often, ReportDamaged: often, FeedFatal: often / 3, FeedFatalAfter: often / 3,
				})
			case 9:
				if s.again(t); rapid.Bool().Draw(rt, "foreign") {
					s.ForeignFeed(simulator.FeedRefund)
				}
			}
		}
		s.SetFaults(simulator.Faults{})
		for range 12 { // hours
			for _, w := range all {
				for range 8 {
					attempt(w)
					s.clock.Add(15 * time.Minute / 8)
				}
			}
		}
		given := map[string]int{}
		for o := range s.Orders() {
			for _, r := range o.Refunds {
				given[strings.TrimSuffix(r.Own, "-1")]++
			}
		}
		for _, w := range all {
			r, n := results[w.CommandID], given[w.CommandID]
			switch {
			case n > 1, r.Outcome == refusedO && n != 0, r.Outcome == notSent:
				rt.Errorf("%s: %v, and it was given back %d times", w.CommandID, r, n)
			case r.Outcome == accepted && n != 1:
				// Somebody else's feed was taken for ours, which is as bad as it gets: nothing was sent.
				if s.Stats().Foreign == 0 {
					rt.Errorf("%s: %v, and it was given back %d times", w.CommandID, r, n)
				}
			}
		}
	})
}
