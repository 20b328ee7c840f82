package ebay

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

// actor is on whose behalf a call is made.
type actor string

const (
	// asUser: the seller, by the refresh token of the seller's consent.
	asUser actor = "user"
	// asApplication: the application itself, by its own credentials.
	asApplication actor = "application"
)

// basicScope is all that the application asks for itself.
const basicScope = "https://api.ebay.com/oauth/api_scope"

// Lifetime that is assumed when an answer tells none, and how long before its end a token is
// not used any more. https://developer.ebay.com/api-docs/static/oauth-token-types.html
const (
	tokenLife = 2*time.Hour - 5*time.Minute
	margin    = time.Minute
)

// auth hands out the access tokens of one actor. One refresh is in flight at a time, in this
// process by mu and over all processes by the token store's lock. Tokens are stored although
// they can be asked for again: an application may ask for 1,000 tokens of its own a day.
type auth struct {
	cfg   Config
	actor actor
	base  string
	http  *http.Client
	deps  connectors.Deps

	mu sync.Mutex
	// held is the newest token known here. unsaved: eBay gave it, but the store did not take
	// it yet; it is not used before.
	held    *token
	unsaved bool
	// consent is the refresh token that was stored by Exchange, as far as it is known here; it
	// counts when the configuration names none.
	consent string
}

// token is what the store keeps.
type token struct {
	Access  string    `json:"access"`
	Expires time.Time `json:"expires"`
	// Begun is the fingerprint of the credentials that it was given for: new credentials in
	// the configuration take effect at once.
	Begun string `json:"begun"`
}

func (a *auth) name() string { return "ebay/" + a.deps.Account + "/" + string(a.actor) }

// token returns an access token that is good for a while. stale is a token that eBay has
// just refused: it is not handed out again.
func (a *auth) token(ctx context.Context, stale string) (string, error) {
	// Everybody waits here for the one that refreshes.
	a.mu.Lock()
	defer a.mu.Unlock()
	id, secret, refresh, err := a.credentials()
	if err != nil {
		return "", err
	}
	begun := fingerprint(id, secret, refresh)
	if !a.unsaved && a.good(a.held, stale, begun) {
		return a.held.Access, nil
	}
	unlock, err := a.deps.Tokens.Lock(ctx, a.name())
	if err != nil {
		return "", fmt.Errorf("locking the token of %s: %w", a.deps.Account, err)
	}
	defer unlock()
	if !a.unsaved {
		if a.stored() {
			// The seller may have consented anew.
			if a.consent, err = a.loadConsent(ctx); err != nil {
				return "", err
			}
			refresh = a.consent
			begun = fingerprint(id, secret, refresh)
		}
		// Another process may have refreshed while we waited.
		if a.held, err = a.load(ctx); err != nil {
			return "", err
		}
		if a.good(a.held, stale, begun) {
			return a.held.Access, nil
		}
		fresh, err := a.redeem(ctx, id, secret, refresh)
		if err != nil {
			return "", err
		}
		fresh.Begun = begun
		a.held, a.unsaved = fresh, true
	}
	b, err := json.Marshal(a.held)
	if err != nil {
		return "", fmt.Errorf("encoding the token of %s: %w", a.deps.Account, err)
	}
	if err := a.deps.Tokens.Save(ctx, a.name(), b); err != nil {
		if connectors.Superseded(err) {
			a.held, a.unsaved = nil, false
		}
		return "", fmt.Errorf("saving the token of %s: %w", a.deps.Account, err)
	}
	a.unsaved = false
	return a.held.Access, nil
}

func (a *auth) good(t *token, stale, begun string) bool {
	return t != nil && t.Access != "" && t.Access != stale && t.Begun == begun && a.deps.Now().Add(margin).Before(t.Expires)
}

func (a *auth) load(ctx context.Context) (*token, error) {
	b, err := a.deps.Tokens.Load(ctx, a.name())
	if err != nil {
		return nil, fmt.Errorf("loading the token of %s: %w", a.deps.Account, err)
	}
	t := &token{}
	if b == nil || json.Unmarshal(b, t) != nil {
		return nil, nil // what cannot be read can be asked for again
	}
	return t, nil
}

// credentials are read at each use, so that a rotation needs no restart.
func (a *auth) credentials() (id, secret, refresh string, err error) {
	if secret, err = a.cfg.ClientSecret.Resolve(); err != nil {
		return "", "", "", fmt.Errorf("reading client_secret: %w", err)
	}
	switch {
	case a.stored():
		refresh = a.consent
	case a.actor == asUser:
		if refresh, err = a.cfg.RefreshToken.Resolve(); err != nil {
			return "", "", "", fmt.Errorf("reading refresh_token: %w", err)
		}
	default: // the application's own credentials are all
	}
	return a.cfg.ClientID, secret, refresh, nil
}

// fingerprint tells credentials apart without keeping them.
func fingerprint(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

type tokenAnswer struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int64  `json:"expires_in"`
	Error     string `json:"error"`
}

// redeem asks eBay for a token.
// https://developer.ebay.com/api-docs/static/oauth-refresh-token-request.html
// https://developer.ebay.com/api-docs/static/oauth-client-credentials-grant.html
func (a *auth) redeem(ctx context.Context, id, secret, refresh string) (*token, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {basicScope}}
	if a.actor == asUser {
		// Without a scope the token may do all that the seller consented to.
		form = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}
	}
	asked := a.deps.Now()
	answer, err := a.ask(ctx, id, secret, form)
	if err != nil {
		return nil, err
	}
	t := &token{Access: answer.Access, Expires: asked.Add(tokenLife)}
	if answer.ExpiresIn > 0 && answer.ExpiresIn < 366*86400 {
		t.Expires = asked.Add(time.Duration(answer.ExpiresIn) * time.Second)
	}
	return t, nil
}

// ask sends one question to the token endpoint.
func (a *auth) ask(ctx context.Context, id, secret string, form url.Values) (*tokenAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/identity/v1/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	req.SetBasicAuth(id, secret)
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
	switch code := resp.StatusCode; {
	case code == http.StatusOK && decoded && answer.Access != "":
		return &answer, nil
	case code == http.StatusBadRequest && answer.Error == "invalid_grant" && form.Get("grant_type") == "authorization_code":
		return nil, fmt.Errorf("%w: eBay refuses the code: it is good for one use and a few minutes, and ru_name must be the one that it was given for: begin anew",
			connectors.ErrNeedsAuthorisation)
	case code == http.StatusBadRequest && answer.Error == "invalid_grant":
		return nil, fmt.Errorf("%w: eBay refuses the refresh token (it ended after 18 months, the seller changed the password, or took the consent back): let the seller consent again (`crossdock connect`), or put the new token where refresh_token points",
			connectors.ErrNeedsAuthorisation)
	case code == http.StatusBadRequest || code == http.StatusUnauthorized || code == http.StatusForbidden:
		return nil, fmt.Errorf("%w: eBay refuses a token for the %s (%d %s): check client_id and client_secret, and that the keyset is not disabled",
			connectors.ErrNeedsAuthorisation, a.actor, code, jsonread.Clip(answer.Error))
	case code == http.StatusTooManyRequests:
		return nil, &connectors.RetryAfterError{After: retryAfter(resp.Header, a.deps.Now(), time.Minute), Err: errors.New("asking for a token: too many requests")}
	default:
		return nil, fmt.Errorf("asking for a token: eBay answered %d %s, no token", code, jsonread.Clip(resp.Header.Get("Content-Type")))
	}
}
