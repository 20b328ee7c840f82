package amazon

import (
	"context"
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

// auth hands out access tokens of Login with Amazon (LWA). One refresh is in flight at a
// time, in this process by mu and over all processes by the token store's lock; a token is
// saved before it is used, so that all processes use one.
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

	mu sync.Mutex
	// held is the newest token known here, by scope; unsaved holds those that the store did
	// not take yet.
	held    map[string]*token
	unsaved map[string]bool
}

// token is what the store keeps.
type token struct {
	Access  string    `json:"access"`
	Expires time.Time `json:"expires"`
}

// Scopes. seller is the authorisation itself.
const (
	scopeSeller        = ""
	scopeNotifications = "sellingpartnerapi::notifications"
)

// assumedLife is of a token whose answer does not tell; margin is how long before its end a
// token is not used any more.
const (
	assumedLife = 55 * time.Minute
	margin      = time.Minute
)

func (a *auth) name(scope string) string {
	if scope == scopeSeller {
		return "amazon/" + a.deps.Account
	}
	return "amazon/" + a.deps.Account + "/" + scope
}

// token returns an access token that is good for a while. stale is a token that Amazon has
// just refused: it is not handed out again.
func (a *auth) token(ctx context.Context, scope, stale string) (string, error) {
	// Everybody waits here for the one that refreshes.
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.unsaved[scope] && a.good(a.held[scope], stale) {
		return a.held[scope].Access, nil
	}
	unlock, err := a.deps.Tokens.Lock(ctx, a.name(scope))
	if err != nil {
		return "", fmt.Errorf("locking the token of %s: %w", a.deps.Account, err)
	}
	defer unlock()
	if !a.unsaved[scope] {
		// Another process may have refreshed while we waited.
		stored, err := a.load(ctx, scope)
		if err != nil {
			return "", err
		}
		if a.good(stored, stale) {
			a.held[scope] = stored
			return stored.Access, nil
		}
		fresh, err := a.redeem(ctx, scope)
		if err != nil {
			return "", err
		}
		a.held[scope], a.unsaved[scope] = fresh, true
	}
	b, err := json.Marshal(a.held[scope])
	if err != nil {
		return "", fmt.Errorf("encoding the token of %s: %w", a.deps.Account, err)
	}
	if err := a.deps.Tokens.Save(ctx, a.name(scope), b); err != nil {
		if connectors.Superseded(err) {
			delete(a.held, scope)
			delete(a.unsaved, scope)
		}
		return "", fmt.Errorf("saving the token of %s: %w", a.deps.Account, err)
	}
	delete(a.unsaved, scope)
	return a.held[scope].Access, nil
}

func (a *auth) good(t *token, stale string) bool {
	return t != nil && t.Access != "" && t.Access != stale && a.deps.Now().Add(margin).Before(t.Expires)
}

// load is nil when there is none. One that cannot be read is none: it can be asked for again.
func (a *auth) load(ctx context.Context, scope string) (*token, error) {
	b, err := a.deps.Tokens.Load(ctx, a.name(scope))
	if err != nil {
		return nil, fmt.Errorf("loading the token of %s: %w", a.deps.Account, err)
	}
	t := &token{}
	if b == nil || json.Unmarshal(b, t) != nil {
		return nil, nil
	}
	return t, nil
}

// redeem asks for a new token. While a secret is being rotated Amazon knows either of the two
// secrets or both, and in which order they are put into place is not ours to say.
func (a *auth) redeem(ctx context.Context, scope string) (*token, error) {
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
	life := assumedLife
	if answer.ExpiresIn > 0 {
		life = time.Duration(min(answer.ExpiresIn, maxLife)) * time.Second
	}
	return &token{Access: answer.Access, Expires: asked.Add(life)}, nil
}

// askWith asks with the secret, and with the one before it when Amazon does not know that.
func (a *auth) askWith(ctx context.Context, form url.Values, secret string) (*tokenAnswer, error) {
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

type tokenAnswer struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int64  `json:"expires_in"`
	Error     string `json:"error"`
}

// maxLife bounds what is believed of a token's life.
const maxLife = 24 * 60 * 60

func (a *auth) ask(ctx context.Context, form url.Values) (*tokenAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/auth/o2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
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
	case answer.Error == "invalid_client" || code == http.StatusUnauthorized:
		return nil, fmt.Errorf("asking for a token: %w (%d %s)", errSecret, code, jsonread.Clip(answer.Error))
	case answer.Error == "invalid_grant" && form.Get("grant_type") == "authorization_code":
		return nil, fmt.Errorf("%w: Amazon refuses the code: it is good for one use and five minutes: begin anew", connectors.ErrNeedsAuthorisation)
	case answer.Error == "invalid_grant":
		return nil, fmt.Errorf("%w: Amazon refuses the refresh token of seller %s: the authorisation was taken back or is older than 365 days: authorise the application again (`crossdock connect`), or put the new token where refresh_token points",
			connectors.ErrNeedsAuthorisation, a.cfg.SellerID)
	case code == http.StatusTooManyRequests:
		return nil, &connectors.RetryAfterError{After: retryAfter(resp.Header, 2*time.Second), Err: errors.New("asking for a token: too many requests")}
	case (code == http.StatusBadRequest || code == http.StatusForbidden) && decoded:
		return nil, fmt.Errorf("%w: Amazon gives no token to client %s (%d %s): check client_id, and that the application has the role for it",
			connectors.ErrNeedsAuthorisation, jsonread.Clip(a.cfg.ClientID), code, jsonread.Clip(answer.Error))
	default:
		return nil, fmt.Errorf("asking for a token: Amazon answered %d %s, no token", code, jsonread.Clip(resp.Header.Get("Content-Type")))
	}
}
