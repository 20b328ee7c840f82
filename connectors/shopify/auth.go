package shopify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/internal/httpx"
)

// auth hands out access tokens. One refresh is in flight at a time, in this process by mu
// and over all processes by the token store's lock; a token is saved before it is used,
// because the one before it is dead by then.
// https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens
type auth struct {
	cfg  Config
	base string
	http *http.Client
	deps connectors.Deps

	mu sync.Mutex
	// held is the newest token known here. unsaved: it was given by Shopify but the store
	// did not take it yet; it must not be used and must not be lost.
	held    *tokens
	unsaved bool
	// refused is the configured refresh token that Shopify refused while there was another.
	refused string
}

// tokens is what the store keeps, with the pair before it: should an answer turn out to be
// wrong, an operator still finds the last pair that worked.
type tokens struct {
	Access  string    `json:"access"`
	Refresh string    `json:"refresh,omitempty"`
	Expires time.Time `json:"expires"`
	// Begun is the fingerprint of the configured refresh token that the chain began with.
	Begun    string  `json:"begun,omitempty"`
	Previous *tokens `json:"previous,omitempty"`
}

// Lifetimes that are assumed when an answer tells none, and how long before its end a token
// is not used any more.
const (
	offlineLife     = 55 * time.Minute
	credentialsLife = 23 * time.Hour
	margin          = time.Minute
)

func (a *auth) name() string { return "shopify/" + a.deps.Account }

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
	// Everybody waits here for the one that refreshes.
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.unsaved && a.good(a.held, stale) {
		return a.held.Access, nil
	}
	unlock, err := a.deps.Tokens.Lock(ctx, a.name())
	if err != nil {
		return "", fmt.Errorf("locking the token of %s: %w", a.deps.Account, err)
	}
	defer unlock()
	if !a.unsaved {
		stored, err := a.load(ctx)
		if err != nil {
			return "", err
		}
		// Another process may have refreshed while we waited.
		a.held = stored
		fresh, err := a.begin(ctx, stored)
		if err == nil && fresh == nil {
			if a.good(stored, stale) {
				return stored.Access, nil
			}
			fresh, err = a.refresh(ctx, stored)
		}
		if err != nil {
			return "", err
		}
		a.held, a.unsaved = fresh, true
	}
	if err := a.save(ctx, a.held); err != nil {
		if connectors.Superseded(err) {
			a.held, a.unsaved = nil, false
		}
		return "", err
	}
	a.unsaved = false
	return a.held.Access, nil
}

func (a *auth) good(t *tokens, stale string) bool {
	return t != nil && t.Access != "" && t.Access != stale && a.deps.Now().Add(margin).Before(t.Expires)
}

func (a *auth) load(ctx context.Context) (*tokens, error) {
	b, err := a.deps.Tokens.Load(ctx, a.name())
	if err != nil {
		return nil, fmt.Errorf("loading the token of %s: %w", a.deps.Account, err)
	}
	if b == nil {
		return nil, nil
	}
	t := &tokens{}
	if err := json.Unmarshal(b, t); err != nil {
		// The content is a secret: the decoder's words are not repeated.
		return nil, fmt.Errorf("%w: the stored token of %s cannot be read: delete it and authorise the shop again", connectors.ErrNeedsAuthorisation, a.deps.Account)
	}
	return t, nil
}

func (a *auth) save(ctx context.Context, t *tokens) error {
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding the token of %s: %w", a.deps.Account, err)
	}
	if err := a.deps.Tokens.Save(ctx, a.name(), b); err != nil {
		return fmt.Errorf("saving the token of %s: %w", a.deps.Account, err)
	}
	return nil
}

// begin starts a new chain when the configured refresh token is not the one that the stored
// chain began with: the shop was authorised again. It is nil when there is nothing to begin,
// or when Shopify refuses the configured one: then the stored chain is the newer one, begun
// by a process that has the newer configuration.
func (a *auth) begin(ctx context.Context, stored *tokens) (*tokens, error) {
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
func (a *auth) refresh(ctx context.Context, old *tokens) (*tokens, error) {
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
func (a *auth) first(ctx context.Context, old *tokens, text string) (*tokens, error) {
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
func (a *auth) redeem(ctx context.Context, old *tokens, spent string) (*tokens, error) {
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
	fresh := answer.tokens(a.cfg, asked)
	if a.cfg.Rotates() && fresh.Refresh == "" {
		fresh.Refresh = spent // not rotated this time
	}
	fresh.Previous = old.last()
	if old == nil && spent != "" {
		fresh.Previous = &tokens{Refresh: spent}
	}
	return fresh, nil
}

// last is the pair itself, without what was before it; nil for none.
func (t *tokens) last() *tokens {
	if t == nil {
		return nil
	}
	return &tokens{Access: t.Access, Refresh: t.Refresh, Expires: t.Expires, Begun: t.Begun}
}

// tokens is what an answer gave. One that does not tell how long it lasts is taken to last as
// long as Shopify says that tokens of its kind do, less a little: to ask once too often costs
// a call, and to wait for the first refusal would cost one with every token.
func (answer *tokenAnswer) tokens(cfg Config, asked time.Time) *tokens {
	life := credentialsLife
	if cfg.Rotates() {
		life = offlineLife
	}
	if answer.ExpiresIn > 0 {
		life = time.Duration(answer.ExpiresIn) * time.Second
	}
	return &tokens{Access: answer.Access, Refresh: answer.Refresh, Expires: asked.Add(life)}
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

type tokenAnswer struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int64  `json:"expires_in"`
	Scope     string `json:"scope"`
	Error     string `json:"error"`
}

func (a *auth) ask(ctx context.Context, form url.Values) (*tokenAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/admin/oauth/access_token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", httpx.RedactError(err))
	}
	body, err := httpx.ReadBody(resp, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	var answer tokenAnswer
	decoded := json.Unmarshal(body, &answer) == nil
	switch {
	case resp.StatusCode == http.StatusOK && decoded && answer.Access != "":
		return &answer, nil
	case resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%w: Shopify refuses a token for %s (%d %s): check client_id and client_secret, or install the app again",
			connectors.ErrNeedsAuthorisation, a.cfg.Shop, resp.StatusCode, jsonread.Clip(answer.Error))
	case resp.StatusCode == http.StatusTooManyRequests:
		return nil, &connectors.RetryAfterError{After: retryAfter(resp.Header, time.Second), Err: errors.New("asking for a token: too many requests")}
	default:
		return nil, fmt.Errorf("asking for a token: Shopify answered %d %s, no token", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}
