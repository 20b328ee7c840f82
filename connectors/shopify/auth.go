package shopify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/bearer"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// auth hands out access tokens. Those that rotate are precious: the one before is dead when
// another is given.
// https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens
type auth struct {
	cfg  Config
	base string
	http *http.Client
	deps connectors.Deps
	held *bearer.Holder
	// refused is the configured refresh token that Shopify refused while there was another. Only
	// what held calls uses it.
	refused string
}

// Lifetimes that are assumed when an answer tells none, and what is believed.
const (
	offlineLife     = 55 * time.Minute
	credentialsLife = 23 * time.Hour
	maxLife         = 366 * 24 * time.Hour
)

func newAuth(cfg Config, base string, h *http.Client, deps connectors.Deps) *auth {
	return &auth{cfg: cfg, base: base, http: h, deps: deps, held: bearer.Precious(deps, "shopify/"+deps.Account)}
}

// token returns an access token that is good for a while. stale is a token that Shopify has
// just refused: it is not handed out again.
func (a *auth) token(ctx context.Context, stale string) (string, error) {
	if a.cfg.Auth == AuthAccessToken {
		text, err := a.cfg.AccessToken.Resolve()
		if err != nil {
			return "", fmt.Errorf("reading access_token: %w", err)
		}
		if text == stale {
			return "", fmt.Errorf("%w: Shopify refuses the access token: make a new one and put it where access_token points", connectors.ErrNeedsAuthorisation)
		}
		return text, nil
	}
	serves := func(t *bearer.Token) bool { return a.held.Good(t, stale) }
	return a.held.Token(ctx, serves, func(ctx context.Context, stored *bearer.Token) (*bearer.Token, error) {
		if fresh, err := a.begin(ctx, stored); err != nil || fresh != nil {
			return fresh, err
		}
		if serves(stored) {
			return stored, nil
		}
		return a.refresh(ctx, stored)
	})
}

// begin starts a new chain when the configured refresh token is not the one that the stored
// chain began with: the shop was authorised again. It is nil when there is nothing to begin,
// or when Shopify refuses the configured one: then the stored chain is the newer one, begun
// by a process that has the newer configuration.
func (a *auth) begin(ctx context.Context, stored *bearer.Token) (*bearer.Token, error) {
	if a.cfg.Auth != AuthOfflineToken || stored == nil || stored.Begun == "" {
		return nil, nil
	}
	text, err := a.configured()
	if err != nil || fingerprint(text) == stored.Begun {
		return nil, nil // a chain that has begun needs the configured token no more
	}
	fresh, err := a.first(ctx, stored, text)
	if errors.Is(err, connectors.ErrNeedsAuthorisation) {
		return nil, nil
	}
	return fresh, err
}

// refresh goes on with the stored chain. The configured refresh token begins one when there
// is none, or when Shopify refuses the stored one.
func (a *auth) refresh(ctx context.Context, old *bearer.Token) (*bearer.Token, error) {
	if !a.cfg.Rotates() {
		return a.redeem(ctx, old, "")
	}
	text, missing := a.configured()
	if old == nil || old.Refresh == "" {
		if missing != nil {
			return nil, missing
		}
		return a.first(ctx, old, text)
	}
	fresh, err := a.redeem(ctx, old, old.Refresh)
	if err == nil {
		if fresh.Begun = old.Begun; fresh.Begun == "" && missing == nil { // stored by an older release
			fresh.Begun = fingerprint(text)
		}
		return fresh, nil
	}
	if !errors.Is(err, connectors.ErrNeedsAuthorisation) || missing != nil || text == old.Refresh {
		return nil, err
	}
	return a.first(ctx, old, text)
}

// first begins a chain with the configured refresh token. One that Shopify refused is not
// tried again.
func (a *auth) first(ctx context.Context, old *bearer.Token, text string) (*bearer.Token, error) {
	if text == a.refused {
		return nil, fmt.Errorf("%w: Shopify has refused the configured refresh_token of %s: authorise the shop again and put the new one there",
			connectors.ErrNeedsAuthorisation, a.cfg.Shop)
	}
	fresh, err := a.redeem(ctx, old, text)
	if errors.Is(err, connectors.ErrNeedsAuthorisation) && old != nil {
		a.refused = text
	}
	if err != nil {
		return nil, err
	}
	fresh.Begun = fingerprint(text)
	return fresh, nil
}

// redeem asks Shopify for a new token: for a refresh token, or for the client's credentials
// when that is "".
func (a *auth) redeem(ctx context.Context, old *bearer.Token, spent string) (*bearer.Token, error) {
	secret, err := a.cfg.ClientSecret.Resolve()
	if err != nil {
		return nil, fmt.Errorf("reading client_secret: %w", err)
	}
	form := url.Values{"client_id": {a.cfg.ClientID}, "client_secret": {secret}}
	if a.cfg.Rotates() {
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", spent)
	} else {
		form.Set("grant_type", "client_credentials")
	}
	asked := a.deps.Now()
	answer, err := a.ask(ctx, form)
	if err != nil {
		return nil, err
	}
	fresh := a.given(answer, asked)
	if a.cfg.Rotates() && fresh.Refresh == "" {
		fresh.Refresh = spent // not rotated this time
	}
	fresh.Previous = old.Last()
	if old == nil && spent != "" {
		fresh.Previous = &bearer.Token{Refresh: spent}
	}
	return fresh, nil
}

// given is the token of an answer. One that does not tell how long it lasts is taken to last as
// long as Shopify says that tokens of its kind do, less a little: to ask once too often costs
// a call, and to wait for the first refusal would cost one with every token.
func (a *auth) given(answer *bearer.Answer, asked time.Time) *bearer.Token {
	life := credentialsLife
	if a.cfg.Rotates() {
		life = offlineLife
	}
	return &bearer.Token{Access: answer.Access, Refresh: answer.Refresh, Expires: asked.Add(answer.Life(life, maxLife))}
}

// configured is the refresh token of the configuration, which begins a chain.
func (a *auth) configured() (string, error) {
	if a.cfg.Auth == AuthAuthorizationCode {
		return "", fmt.Errorf("%w: the owner of %s has not agreed to the app, or has taken it back: run `crossdock connect %s`",
			connectors.ErrNeedsAuthorisation, a.cfg.Shop, a.deps.Account)
	}
	text, err := a.cfg.RefreshToken.Resolve()
	if err != nil {
		return "", fmt.Errorf("reading refresh_token: %w", err)
	}
	return text, nil
}

// fingerprint tells refresh tokens apart without keeping them.
func fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

func (a *auth) ask(ctx context.Context, form url.Values) (*bearer.Answer, error) {
	answer, err := bearer.Ask(ctx, a.http, a.cfg.CallTimeout, a.base+"/admin/oauth/access_token", form, nil)
	if err != nil {
		return nil, err
	}
	switch code := answer.Status; {
	case answer.Given():
		return answer, nil
	case code >= 300 && code < 400:
		return nil, elsewhere(answer.Header)
	case answer.Error == "invalid_subject_token":
		return nil, fmt.Errorf("%w: Shopify does not take the session token for %s: it lasts a minute: open the app in the admin again",
			connectors.ErrNeedsAuthorisation, a.cfg.Shop)
	case code == http.StatusBadRequest || code == http.StatusUnauthorized || code == http.StatusForbidden:
		return nil, fmt.Errorf("%w: Shopify refuses a token for %s (%d %s): check client_id and client_secret, or install the app again",
			connectors.ErrNeedsAuthorisation, a.cfg.Shop, code, jsonread.Clip(answer.Error))
	case code == http.StatusTooManyRequests:
		return nil, &connectors.RetryAfterError{After: calls.RetryAfter(answer.Header, a.deps.Now(), time.Second), Err: errors.New("asking for a token: too many requests")}
	default:
		return nil, fmt.Errorf("asking for a token: Shopify answered %d %s, no token", code, answer.Header.Get("Content-Type"))
	}
}
