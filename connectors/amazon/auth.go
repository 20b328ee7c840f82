package amazon

import (
	"context"
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

// auth hands out access tokens of Login with Amazon (LWA).
//
// Two kinds: the seller's, for the refresh token of the authorisation, and grantless ones,
// for the application's own credentials and a scope, which a few operations want instead.
// The refresh token does not rotate.
// https://developer-docs.amazon.com/sp-api/docs/connect-to-the-selling-partner-api
type auth struct {
	cfg  Config
	base string
	http *http.Client
	deps connectors.Deps
	// held are the tokens, by scope.
	held map[string]*bearer.Holder
}

func newAuth(cfg Config, base string, h *http.Client, deps connectors.Deps) *auth {
	a := &auth{cfg: cfg, base: base, http: h, deps: deps, held: make(map[string]*bearer.Holder)}
	for _, scope := range []string{scopeSeller, scopeNotifications} {
		name := "amazon/" + deps.Account
		if scope != scopeSeller {
			name += "/" + scope
		}
		a.held[scope] = bearer.NewHolder(deps, name)
	}
	return a
}

// Scopes. seller is the authorisation itself.
const (
	scopeSeller        = ""
	scopeNotifications = "sellingpartnerapi::notifications"
)

// Of a token's life: what is assumed when an answer does not tell, and what is believed.
const (
	assumedLife = 55 * time.Minute
	maxLife     = 24 * time.Hour
)

// token returns an access token that is good for a while. stale is a token that Amazon has
// just refused: it is not handed out again.
func (a *auth) token(ctx context.Context, scope, stale string) (string, error) {
	h := a.held[scope]
	serves := func(t *bearer.Token) bool { return h.Good(t, stale) }
	return h.Token(ctx, serves, func(ctx context.Context, stored *bearer.Token) (*bearer.Token, error) {
		if serves(stored) {
			return stored, nil
		}
		return a.redeem(ctx, scope)
	})
}

// redeem asks for a new token. While a secret is being rotated Amazon knows either of the two
// secrets or both, and in which order they are put into place is not ours to say.
func (a *auth) redeem(ctx context.Context, scope string) (*bearer.Token, error) {
	form := url.Values{"client_id": {a.cfg.ClientID}}
	if scope == scopeSeller {
		refresh, err := a.refresh(ctx)
		if err != nil {
			return nil, err
		}
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", refresh)
	} else {
		form.Set("grant_type", "client_credentials")
		form.Set("scope", scope)
	}
	secret, err := a.cfg.ClientSecret.Resolve()
	if err != nil {
		return nil, fmt.Errorf("reading client_secret: %w", err)
	}
	asked := a.deps.Now()
	answer, err := a.askWith(ctx, form, secret)
	if err != nil {
		return nil, err
	}
	return &bearer.Token{Access: answer.Access, Expires: asked.Add(answer.Life(assumedLife, maxLife))}, nil
}

// askWith asks with the secret, and with the one before it when Amazon does not know that.
func (a *auth) askWith(ctx context.Context, form url.Values, secret string) (*bearer.Answer, error) {
	form.Set("client_secret", secret)
	answer, err := a.ask(ctx, form)
	if !errors.Is(err, errSecret) || a.cfg.PreviousClientSecret == "" {
		return answer, err
	}
	other, missing := a.cfg.PreviousClientSecret.Resolve()
	if missing != nil || other == secret {
		return nil, err // it may be gone after the rotation
	}
	form.Set("client_secret", other)
	if answer, other := a.ask(ctx, form); other == nil {
		return answer, nil
	}
	return nil, err
}

// errSecret: Amazon does not know the application by this secret.
var errSecret = fmt.Errorf("%w: Amazon refuses client_id and client_secret: secrets end 180 days after they were made, put the new one where client_secret points", connectors.ErrNeedsAuthorisation)

func (a *auth) ask(ctx context.Context, form url.Values) (*bearer.Answer, error) {
	answer, err := bearer.Ask(ctx, a.http, a.cfg.CallTimeout, a.base+"/auth/o2/token", form, nil)
	if err != nil {
		return nil, err
	}
	switch code := answer.Status; {
	case answer.Given():
		return answer, nil
	case answer.Error == "invalid_client" || code == http.StatusUnauthorized:
		return nil, fmt.Errorf("asking for a token: %w (%d %s)", errSecret, code, jsonread.Clip(answer.Error))
	case answer.Error == "invalid_grant" && form.Get("grant_type") == "authorization_code":
		return nil, fmt.Errorf("%w: Amazon refuses the code: it is good for one use and five minutes: begin anew", connectors.ErrNeedsAuthorisation)
	case answer.Error == "invalid_grant":
		return nil, fmt.Errorf("%w: Amazon refuses the refresh token of seller %s: the authorisation was taken back or is older than 365 days: authorise the application again (`crossdock connect`), or put the new token where refresh_token points",
			connectors.ErrNeedsAuthorisation, a.cfg.SellerID)
	case code == http.StatusTooManyRequests:
		return nil, &connectors.RetryAfterError{After: calls.RetryAfter(answer.Header, a.deps.Now(), 2*time.Second), Err: errors.New("asking for a token: too many requests")}
	case (code == http.StatusBadRequest || code == http.StatusForbidden) && answer.JSON:
		return nil, fmt.Errorf("%w: Amazon gives no token to client %s (%d %s): check client_id, and that the application has the role for it",
			connectors.ErrNeedsAuthorisation, jsonread.Clip(a.cfg.ClientID), code, jsonread.Clip(answer.Error))
	default:
		return nil, fmt.Errorf("asking for a token: Amazon answered %d %s, no token", code, jsonread.Clip(answer.Header.Get("Content-Type")))
	}
}
