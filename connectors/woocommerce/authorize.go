package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
)

// The hand-over of handover.go, for `crossdock connect`: the shop posts a key to the callback,
// and the key is kept in the token store. It does not end.

type authorizer struct{ *client }

// key is what the store keeps.
type key struct {
	Key   string `json:"key"`
	Proof string `json:"proof"`
}

func keyName(account string) string { return "woocommerce/" + account }

// given is the key of the token store, as far as it is known here.
type given struct {
	mu sync.Mutex
	key
}

// Guide says what the owner agrees to.
func (z *authorizer) Guide() connectors.AuthorizeGuide {
	return connectors.AuthorizeGuide{
		Title: "the shop " + z.base, Way: connectors.AuthorizeByPost,
		Needs: []string{"a REST API key with permission read/write, of a user with the role Shop manager"},
		Steps: []string{
			"The shop's own server posts the key to the callback, and only to an https address that it can reach.",
			"Permalinks must not be plain (Settings, Permalinks).",
			"Log in as an administrator or shop manager and approve.",
		},
	}
}

// AuthorizeURL is the shop's page. The browser ends at the shop, not here: there is nothing to
// be learned from where it goes.
func (z *authorizer) AuthorizeURL(r connectors.AuthorizeRequest) (string, error) {
	if z.cfg.ConsumerKey != "" {
		return "", errors.New("consumer_key is set and would be used instead of what the shop gives: take it and consumer_secret out of the configuration")
	}
	return AuthorizeURL(z.base, Authorisation{AppName: "crossdock", State: r.State, ReturnURL: z.base, CallbackURL: r.Callback})
}

// State is in the body.
func (z *authorizer) State(a *connectors.AuthorizeAnswer) string {
	var posted struct {
		UserID json.RawMessage `json:"user_id"`
	}
	if json.Unmarshal(a.Body, &posted) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(posted.UserID, &text) != nil {
		return string(posted.UserID) // a state of digits may come as a number
	}
	return text
}

// Exchange keeps the posted key.
func (z *authorizer) Exchange(ctx context.Context, r connectors.AuthorizeRequest, a *connectors.AuthorizeAnswer) error {
	g, err := ReadGrant(a.Body, r.State)
	if err != nil {
		return err
	}
	if g.Scope != ScopeReadWrite {
		return fmt.Errorf("%w: the shop gave a key that may only %s: approve read and write", connectors.ErrNeedsAuthorisation, calls.Clip(g.Scope))
	}
	b, err := json.Marshal(key{g.ConsumerKey, g.ConsumerSecret})
	if err != nil {
		return fmt.Errorf("encoding the key: %w", err)
	}
	name := keyName(z.deps.Account)
	unlock, err := z.deps.Tokens.Lock(ctx, name)
	if err != nil {
		return fmt.Errorf("locking the key of %s: %w", z.deps.Account, err)
	}
	defer unlock()
	if err := z.deps.Tokens.Save(ctx, name, b); err != nil {
		return fmt.Errorf("saving the key of %s: %w", z.deps.Account, err)
	}
	z.forget()
	return nil
}

// keys are the configured ones, read at each use, or those that the shop gave, read once: they
// are read again after the shop has refused them.
func (c *client) keys(ctx context.Context) (id, secret string, err error) {
	if c.cfg.ConsumerKey != "" {
		if id, err = c.cfg.ConsumerKey.Resolve(); err != nil {
			return "", "", err
		}
		secret, err = c.cfg.ConsumerSecret.Resolve()
		return id, secret, err
	}
	c.given.mu.Lock()
	defer c.given.mu.Unlock()
	if c.given.Key == "" {
		b, err := c.deps.Tokens.Load(ctx, keyName(c.deps.Account))
		if err != nil {
			return "", "", fmt.Errorf("loading the key of %s: %w", c.deps.Account, err)
		}
		var k key
		if b == nil || json.Unmarshal(b, &k) != nil || k.Key == "" {
			return "", "", fmt.Errorf("%w: the shop has given no key yet: run `crossdock connect %s`, or set consumer_key and consumer_secret", connectors.ErrNeedsAuthorisation, c.deps.Account)
		}
		c.given.key = k
	}
	return c.given.Key, c.given.Proof, nil
}

// forget makes the next call read the key again.
func (c *client) forget() {
	c.given.mu.Lock()
	defer c.given.mu.Unlock()
	c.given.key = key{}
}
