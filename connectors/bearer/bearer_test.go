package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
)

// store is a token store in memory. fail, when set, is what Save answers.
type store struct {
	lock sync.Mutex
	mu   sync.Mutex
	kept map[string][]byte
	fail error
}

func (s *store) Load(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[name], nil
}

func (s *store) Save(_ context.Context, name string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.kept == nil {
		s.kept = make(map[string][]byte)
	}
	s.kept[name] = value
	return nil
}

func (s *store) Lock(context.Context, string) (func(), error) {
	s.lock.Lock()
	return s.lock.Unlock, nil
}

// office gives numbered tokens that live for an hour.
type office struct {
	now   time.Time
	given atomic.Int64
}

func (o *office) deps(s *store) connectors.Deps {
	return connectors.Deps{Account: "shop", Tokens: s, Now: func() time.Time { return o.now }}
}

// ask is how the connectors use a holder.
func (o *office) ask(ctx context.Context, h *Holder, stale string) (string, error) {
	serves := func(t *Token) bool { return h.Good(t, stale) }
	return h.Token(ctx, serves, func(_ context.Context, stored *Token) (*Token, error) {
		if serves(stored) {
			return stored, nil
		}
		return &Token{Access: fmt.Sprint("token ", o.given.Add(1)), Expires: o.now.Add(time.Hour), Previous: stored.Last()}, nil
	})
}

// Thirty-two callers in each of two processes, at the end of a token: one renewal.
func TestOneRenewal(t *testing.T) {
	s, o := &store{}, &office{now: time.Unix(1_800_000_000, 0)}
	processes := []*Holder{NewHolder(o.deps(s), "x/shop"), NewHolder(o.deps(s), "x/shop")}
	for round := range int64(3) {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if got, err := o.ask(t.Context(), processes[i%2], ""); err != nil || got != fmt.Sprint("token ", round+1) {
					t.Errorf("round %d: %q, %v", round, got, err)
				}
			})
		}
		wg.Wait()
		o.now = o.now.Add(time.Hour - margin)
	}
	if n := o.given.Load(); n != 3 {
		t.Errorf("%d tokens were asked for, want 3", n)
	}
}

func TestSavedBeforeUsed(t *testing.T) {
	s, o := &store{fail: errors.New("no store")}, &office{now: time.Unix(1_800_000_000, 0)}
	h := NewHolder(o.deps(s), "x/shop")
	for range 2 {
		if got, err := o.ask(t.Context(), h, ""); !errors.Is(err, s.fail) {
			t.Fatalf("a token that is not saved is handed out: %q, %v", got, err)
		}
	}
	s.fail = nil
	// It was not lost, and no other was asked for.
	if got, err := o.ask(t.Context(), h, ""); err != nil || got != "token 1" {
		t.Errorf("got %q, %v", got, err)
	}
}

// superseded is what a store answers to a version that is not the newest.
type superseded struct{}

func (superseded) Error() string    { return "somebody saved another" }
func (superseded) Superseded() bool { return true }

func TestSupersededIsForgotten(t *testing.T) {
	if !connectors.Superseded(superseded{}) {
		t.Fatal("the test's error is none of the contract")
	}
	s, o := &store{fail: superseded{}}, &office{now: time.Unix(1_800_000_000, 0)}
	h := NewHolder(o.deps(s), "x/shop")
	if _, err := o.ask(t.Context(), h, ""); !connectors.Superseded(err) {
		t.Fatal(err)
	}
	s.fail = nil
	if err := h.Save(t.Context(), &Token{Access: "theirs", Expires: o.now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got, err := o.ask(t.Context(), h, ""); err != nil || got != "theirs" {
		t.Errorf("got %q, %v: the newer one counts", got, err)
	}
}

func TestStale(t *testing.T) {
	s, o := &store{}, &office{now: time.Unix(1_800_000_000, 0)}
	h := NewHolder(o.deps(s), "x/shop")
	one, _ := o.ask(t.Context(), h, "")
	two, err := o.ask(t.Context(), h, one)
	if err != nil || two == one {
		t.Errorf("a refused token is handed out again: %q, %v", two, err)
	}
	// Whoever was refused with the one before gets what is there by now.
	if three, err := o.ask(t.Context(), h, one); err != nil || three != two {
		t.Errorf("got %q, %v", three, err)
	}
	stored, err := h.Load(t.Context())
	if err != nil || stored.Previous == nil || stored.Previous.Access != one || stored.Previous.Previous != nil {
		t.Errorf("stored is %+v, %v: want the pair before, and only that", stored, err)
	}
}

func TestUnreadable(t *testing.T) {
	o := &office{now: time.Unix(1_800_000_000, 0)}
	s := &store{kept: map[string][]byte{"x/shop": []byte(`{"access":"secret`)}}
	if got, err := o.ask(t.Context(), NewHolder(o.deps(s), "x/shop"), ""); err != nil || got != "token 1" {
		t.Errorf("got %q, %v: another one can be asked for", got, err)
	}
	s.kept["x/shop"] = []byte(`{"access":"secret`)
	_, err := o.ask(t.Context(), Precious(o.deps(s), "x/shop"), "")
	if !errors.Is(err, connectors.ErrNeedsAuthorisation) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestKeep(t *testing.T) {
	s, o := &store{}, &office{}
	if got, err := Kept(t.Context(), o.deps(s), "x/shop/consent"); err != nil || got != "" {
		t.Errorf("got %q, %v of nothing", got, err)
	}
	if err := Keep(t.Context(), o.deps(s), "x/shop/consent", "refresh"); err != nil {
		t.Fatal(err)
	}
	if got, err := Kept(t.Context(), o.deps(s), "x/shop/consent"); err != nil || got != "refresh" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAsk(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   Answer
		given  bool
		life   time.Duration
	}{
		{"a token", 200, `{"access_token":"a","refresh_token":"r","expires_in":3600,"scope":"s"}`, Answer{Access: "a", Refresh: "r", ExpiresIn: 3600, Scope: "s", JSON: true}, true, time.Hour},
		{"no life", 200, `{"access_token":"a"}`, Answer{Access: "a", JSON: true}, true, time.Minute},
		{"an unbelievable life", 200, `{"access_token":"a","expires_in":9223372036854775807}`, Answer{Access: "a", ExpiresIn: 1<<63 - 1, JSON: true}, true, 24 * time.Hour},
		{"a negative life", 200, `{"access_token":"a","expires_in":-1}`, Answer{Access: "a", ExpiresIn: -1, JSON: true}, true, time.Minute},
		{"refused", 400, `{"error":"invalid_grant"}`, Answer{Error: "invalid_grant", JSON: true}, false, time.Minute},
		{"a token that is refused", 401, `{"access_token":"a"}`, Answer{Access: "a", JSON: true}, false, time.Minute},
		{"HTML", 200, `<html>`, Answer{}, false, time.Minute},
		{"nothing", 200, ``, Answer{}, false, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got *http.Request
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				got = r
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			a, err := Ask(t.Context(), server.Client(), time.Minute, server.URL, url.Values{"grant_type": {"x"}}, func(r *http.Request) { r.SetBasicAuth("id", "secret") })
			if err != nil {
				t.Fatal(err)
			}
			c.want.Status, c.want.Header = c.status, a.Header
			if diff := cmp.Diff(&c.want, a); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if a.Given() != c.given || a.Life(time.Minute, 24*time.Hour) != c.life {
				t.Errorf("given %v, life %s", a.Given(), a.Life(time.Minute, 24*time.Hour))
			}
			if id, secret, _ := got.BasicAuth(); id != "id" || secret != "secret" || got.Form.Get("grant_type") != "x" {
				t.Errorf("asked %v with %q %q", got.Form, id, secret)
			}
		})
	}
}

func TestAskTellsNoSecret(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.URL
	server.Close()
	_, err := Ask(t.Context(), http.DefaultClient, time.Minute, address+"/?key=hidden", url.Values{"client_secret": {"hidden"}}, nil)
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}
