package amazon

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
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
				s.deps.Tokens = &mortal{s.deps.Tokens.(*memory), killer}
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
	*memory
	killer *killer
}

var errDead = errors.New("the process is dead")

func (m *mortal) Save(ctx context.Context, name string, value []byte) error {
	if m.killer.dead.Load() {
		return errDead
	}
	refused := m.killer.strikes("refusal")
	if !refused && !m.killer.strikes("save") {
		return m.memory.Save(ctx, name, value)
	}
	if m.killer.after {
		_ = m.memory.Save(ctx, name, value)
	}
	m.killer.dead.Store(!refused)
	return errDead
}
