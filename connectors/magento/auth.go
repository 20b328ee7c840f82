package magento

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/bearer"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// auth makes calls authentic. The keys of an integration are read for each call and never
// kept. Tokens that end (admin, ims) are stored, so that all processes use one.
type auth struct {
	cfg  Config
	base string
	http *http.Client
	deps connectors.Deps
	held *bearer.Holder
}

// Of a token's life: what is assumed when an answer tells none, and what is believed. An admin
// token was seen to live for an hour where the documentation says four.
const (
	adminLife = 55 * time.Minute
	imsLife   = 23 * time.Hour
	maxLife   = 7 * 24 * time.Hour
)

// authorise sets the headers of one call; address is without the query. It returns the token
// that it used, where there is one that can be asked for again. stale is a token that Magento
// has just refused: it is not used again.
func (a *auth) authorise(ctx context.Context, req *http.Request, address string, q query, stale string) (used string, err error) {
	switch a.cfg.Auth {
	case AuthOAuth:
		k, err := a.keys()
		if err != nil {
			return "", err
		}
		nonce, err := newNonce()
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", k.authorization(req.Method, address, q, nonce, a.deps.Now()))
		return "", nil
	case AuthBearer:
		text, err := a.cfg.AccessToken.Resolve()
		if err != nil {
			return "", fmt.Errorf("reading access_token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+text)
		return "", nil
	}
	if used, err = a.token(ctx, stale); err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+used)
	if a.cfg.Auth == AuthIMS {
		req.Header.Set("Store", a.cfg.Store)
		req.Header.Set("X-Api-Key", a.cfg.ClientID)
		if a.cfg.Organisation != "" {
			req.Header.Set("X-Gw-Ims-Org-Id", a.cfg.Organisation)
		}
	}
	return used, nil
}

func (a *auth) keys() (k keys, err error) {
	for _, s := range []struct {
		name   string
		secret connectors.Secret
		to     *string
	}{
		{"consumer_key", a.cfg.ConsumerKey, &k.consumer}, {"consumer_secret", a.cfg.ConsumerSecret, &k.consumerSecret},
		{"access_token", a.cfg.AccessToken, &k.token}, {"access_token_secret", a.cfg.AccessTokenSecret, &k.tokenSecret},
	} {
		if *s.to, err = s.secret.Resolve(); err != nil {
			return k, fmt.Errorf("reading %s: %w", s.name, err)
		}
	}
	return k, nil
}

// token returns a token that is good for a while.
func (a *auth) token(ctx context.Context, stale string) (string, error) {
	serves := func(t *bearer.Token) bool { return a.held.Good(t, stale) }
	return a.held.Token(ctx, serves, func(ctx context.Context, stored *bearer.Token) (*bearer.Token, error) {
		if serves(stored) {
			return stored, nil
		}
		return a.ask(ctx)
	})
}

// ask trades the credentials for a token.
func (a *auth) ask(ctx context.Context) (*bearer.Token, error) {
	if a.cfg.Auth == AuthIMS {
		return a.askIMS(ctx)
	}
	password, err := a.cfg.Password.Resolve()
	if err != nil {
		return nil, fmt.Errorf("reading password: %w", err)
	}
	body, err := json.Marshal(map[string]string{"username": a.cfg.Username, "password": password})
	if err != nil {
		return nil, fmt.Errorf("encoding the login of %s: %w", a.deps.Account, err)
	}
	asked := a.deps.Now()
	status, _, answer, err := bearer.Post(ctx, a.http, a.cfg.CallTimeout, a.base+"/V1/integration/admin/token", "application/json", string(body), nil)
	if err != nil {
		return nil, err
	}
	var text string
	if status != http.StatusOK || json.Unmarshal(answer, &text) != nil || text == "" {
		return nil, a.refused(status, message(answer))
	}
	return &bearer.Token{Access: text, Expires: asked.Add(lifeOf(text, adminLife))}, nil
}

func (a *auth) askIMS(ctx context.Context) (*bearer.Token, error) {
	secret, err := a.cfg.ClientSecret.Resolve()
	if err != nil {
		return nil, fmt.Errorf("reading client_secret: %w", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.cfg.ClientID}, "client_secret": {secret}, "scope": {a.cfg.Scope}}
	asked := a.deps.Now()
	answer, err := bearer.Ask(ctx, a.http, a.cfg.CallTimeout, a.cfg.TokenURL, form, nil)
	if err != nil {
		return nil, err
	}
	if !answer.Given() {
		return nil, a.refused(answer.Status, answer.Error)
	}
	return &bearer.Token{Access: answer.Access, Expires: asked.Add(answer.Life(imsLife, maxLife))}, nil
}

// refused turns an answer that holds no token into an instruction.
func (a *auth) refused(status int, said string) error {
	switch {
	case status == http.StatusTooManyRequests:
		return &connectors.RetryAfterError{After: time.Minute, Err: errors.New("asking for a token: too many requests")}
	case status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden:
		advice := "check username and password, and that the account is not locked; an account with two-factor authentication gets no token this way: use an integration (auth: oauth)"
		if a.cfg.Auth == AuthIMS {
			advice = "check client_id, client_secret and ims_scope"
		}
		return fmt.Errorf("%w: no token is given to %s (%d %s): %s", connectors.ErrNeedsAuthorisation, a.deps.Account, status, jsonread.Clip(said), advice)
	default:
		return fmt.Errorf("asking for a token: the answer is %d and holds none: check that base_url is the shop's address", status)
	}
}

// lifeOf is how long a token lives by its own words: a JWT tells when it was made and when it
// ends, by the shop's clock, so that only the difference counts. A token that tells nothing,
// as those of releases before 2.4.5, has the life that is assumed.
func lifeOf(token string, otherwise time.Duration) time.Duration {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return otherwise
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return otherwise
	}
	var claims struct {
		Made *float64 `json:"iat"`
		Ends *float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Made == nil || claims.Ends == nil {
		return otherwise
	}
	seconds := *claims.Ends - *claims.Made
	if seconds <= 0 || seconds > 366*86400 {
		return otherwise
	}
	return time.Duration(seconds) * time.Second
}
