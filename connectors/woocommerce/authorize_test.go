package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/schemas"
)

// vault is a token store that keeps.
type vault struct {
	mu    sync.Mutex
	held  map[string][]byte
	loads int
}

func (v *vault) Load(_ context.Context, name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.loads++
	return v.held[name], nil
}

func (v *vault) Save(_ context.Context, name string, value []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.held == nil {
		v.held = map[string][]byte{}
	}
	v.held[name] = value
	return nil
}

func (v *vault) Lock(context.Context, string) (func(), error) { return func() {}, nil }

// TestHandOver: the page, the posted key, and calls that live on it: read once, and again after
// the shop refused it.
func TestHandOver(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	cfg := s.cfg
	cfg.ConsumerKey, cfg.ConsumerSecret = "", ""
	store := &vault{}
	s.deps.Tokens = store
	process := func() *connectors.Connector {
		t.Helper()
		c, err := New(cfg, schemas.Test, s.deps)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two := process(), process()
	works := func(c *connectors.Connector) error {
		_, err := c.Check.(*checker).read(t.Context(), "products", url.Values{"per_page": {"1"}}, connectors.Normal)
		return err
	}
	if err := works(one); !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), "crossdock connect shop-de") {
		t.Errorf("before: %v", err)
	}
	z := one.Authorize
	req := connectors.AuthorizeRequest{State: "0123456789abcdefghij", Callback: "https://t.example/callback"}
	address, err := z.AuthorizeURL(req)
	if err != nil || !strings.HasPrefix(address, s.server.URL+"/wc-auth/v1/authorize?") || !strings.Contains(address, "user_id=0123456789abcdefghij") || !strings.Contains(address, "callback_url=https%3A%2F%2Ft.example%2Fcallback") {
		t.Errorf("the page: %s, %v", address, err)
	}
	if _, err := z.AuthorizeURL(connectors.AuthorizeRequest{State: req.State, Callback: "http://127.0.0.1:7777/callback"}); err == nil {
		t.Error("the shop would post a key in the clear")
	}
	post := func(key, secret, scope, state string) *connectors.AuthorizeAnswer {
		b, err := json.Marshal(map[string]any{"key_id": 1, "user_id": state, "consumer_key": key, "consumer_secret": secret, "key_permissions": scope})
		if err != nil {
			t.Fatal(err)
		}
		return &connectors.AuthorizeAnswer{Body: b}
	}
	of := s.Simulator.Config()
	good := post(of.ConsumerKey, of.ConsumerSecret, "read_write", req.State)
	if got := z.State(good); got != req.State {
		t.Errorf("state %q", got)
	}
	if got := z.State(&connectors.AuthorizeAnswer{Body: []byte("webhook_id=1")}); got != "" {
		t.Errorf("state of something else: %q", got)
	}
	if err := z.Exchange(t.Context(), req, post("ck_1", "cs_1", "read", req.State)); !errors.Is(err, connectors.ErrNeedsAuthorisation) {
		t.Errorf("a key that may only read: %v", err)
	}
	if err := z.Exchange(t.Context(), req, post("ck_1", "cs_1", "read_write", "0123456789abcdefghiX")); !errors.Is(err, connectors.ErrUnauthentic) {
		t.Errorf("of another hand-over: %v", err)
	}
	if err := z.Exchange(t.Context(), req, post("ck_old", "cs_old", "read_write", req.State)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*connectors.Connector{one, two} {
		if err := works(c); !errors.Is(err, connectors.ErrNeedsAuthorisation) || strings.Contains(err.Error(), "cs_old") {
			t.Errorf("with a key that the shop does not know: %v", err)
		}
	}
	if err := z.Exchange(t.Context(), req, good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*connectors.Connector{one, two} {
		if err := works(c); err != nil {
			t.Errorf("after: %v", err)
		}
	}
	before := store.loads
	for range 3 {
		if err := works(two); err != nil {
			t.Error(err)
		}
	}
	if store.loads != before {
		t.Errorf("the key is loaded with each call: %d times", store.loads-before)
	}
}
