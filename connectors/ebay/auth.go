package ebay

import (
	"cmp"
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

// Of a token's life: what is assumed when an answer tells none, and what is believed.
// https://developer.ebay.com/api-docs/static/oauth-token-types.html
const (
	tokenLife = 2*time.Hour - 5*time.Minute
	maxLife   = 366 * 24 * time.Hour
)

// auth hands out the access tokens of one actor. Tokens are stored although they can be asked
// for again: an application may ask for 1,000 tokens of its own a day.
type auth struct {
	cfg   Config
	actor actor
	base  string
	http  *http.Client
	deps  connectors.Deps
	held  *bearer.Holder

	// consent is the refresh token that was stored by Exchange, as far as it is known here; it
	// counts when the configuration names none. Only what held calls uses it.
	consent string
}

func newAuth(cfg Config, as actor, base string, h *http.Client, deps connectors.Deps) *auth {
	return &auth{cfg: cfg, actor: as, base: base, http: h, deps: deps, held: bearer.NewHolder(deps, "ebay/"+deps.Account+"/"+string(as))}
}

// token returns an access token that is good for a while. stale is a token that eBay has
// just refused: it is not handed out again. New credentials in the configuration take effect
// at once.
func (a *auth) token(ctx context.Context, stale string) (string, error) {
	id, secret, refresh, err := a.credentials()
	if err != nil {
		return "", err
	}
	// Called by held only, one at a time.
	begun := func() string { return fingerprint(id, secret, cmp.Or(refresh, a.consent)) }
	serves := func(t *bearer.Token) bool { return a.held.Good(t, stale) && t.Begun == begun() }
	return a.held.Token(ctx, serves, func(ctx context.Context, stored *bearer.Token) (_ *bearer.Token, err error) {
		if a.stored() {
			// The seller may have consented anew.
			if a.consent, err = a.loadConsent(ctx); err != nil {
				return nil, err
			}
		}
		if serves(stored) {
			return stored, nil
		}
		fresh, err := a.redeem(ctx, id, secret, cmp.Or(refresh, a.consent))
		if err == nil {
			fresh.Begun = begun()
		}
		return fresh, err
	})
}

// credentials are read at each use, so that a rotation needs no restart.
func (a *auth) credentials() (id, secret, refresh string, err error) {
	if secret, err = a.cfg.ClientSecret.Resolve(); err != nil {
		return "", "", "", fmt.Errorf("reading client_secret: %w", err)
	}
	if a.actor == asUser && !a.stored() { // otherwise the application's own are all, or the stored consent counts
		if refresh, err = a.cfg.RefreshToken.Resolve(); err != nil {
			return "", "", "", fmt.Errorf("reading refresh_token: %w", err)
		}
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

// redeem asks eBay for a token.
// https://developer.ebay.com/api-docs/static/oauth-refresh-token-request.html
// https://developer.ebay.com/api-docs/static/oauth-client-credentials-grant.html
func (a *auth) redeem(ctx context.Context, id, secret, refresh string) (*bearer.Token, error) {
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
	return &bearer.Token{Access: answer.Access, Expires: asked.Add(answer.Life(tokenLife, maxLife))}, nil
}

// ask sends one question to the token endpoint.
func (a *auth) ask(ctx context.Context, id, secret string, form url.Values) (*bearer.Answer, error) {
	answer, err := bearer.Ask(ctx, a.http, a.cfg.CallTimeout, a.base+"/identity/v1/oauth2/token", form, func(r *http.Request) { r.SetBasicAuth(id, secret) })
	if err != nil {
		return nil, err
	}
	switch code := answer.Status; {
	case answer.Given():
		return answer, nil
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
		return nil, &connectors.RetryAfterError{After: calls.RetryAfter(answer.Header, a.deps.Now(), time.Minute), Err: errors.New("asking for a token: too many requests")}
	default:
		return nil, fmt.Errorf("asking for a token: eBay answered %d %s, no token", code, jsonread.Clip(answer.Header.Get("Content-Type")))
	}
}
