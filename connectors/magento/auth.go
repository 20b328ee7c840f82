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
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/internal/httpx"
)

// auth makes calls authentic. The keys of an integration are read for each call and never
// kept. A token that ends (admin, ims) is asked for by one at a time, in this process by mu
// and over all processes by the token store's lock, and is stored before it is used, so that
// the other processes find it.
type auth struct {
	cfg  Config
	base string
	http *http.Client
	deps connectors.Deps

	mu sync.Mutex
	// held is the newest token known here. unsaved: it was given but the store did not take
	// it yet.
	held    *token
	unsaved bool
}

// token is what the store keeps.
type token struct {
	Access  string    `json:"access"`
	Expires time.Time `json:"expires"`
}

// Lifetimes that are assumed when an answer tells none, and how long before its end a token
// is not used any more. An admin token was seen to live for an hour where the documentation
// says four.
const (
	adminLife = 55 * time.Minute
	imsLife   = 23 * time.Hour
	margin    = time.Minute
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

func (a *auth) name() string { return "magento/" + a.deps.Account }

// token returns a token that is good for a while.
func (a *auth) token(ctx context.Context, stale string) (string, error) {
	// Everybody waits here for the one that asks.
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
		// Another process may have asked while we waited.
		if a.held, err = a.load(ctx); err != nil {
			return "", err
		}
		if a.good(a.held, stale) {
			return a.held.Access, nil
		}
		fresh, err := a.ask(ctx)
		if err != nil {
			return "", err
		}
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

func (a *auth) good(t *token, stale string) bool {
	return t != nil && t.Access != "" && t.Access != stale && a.deps.Now().Add(margin).Before(t.Expires)
}

// load reads the stored token. One that cannot be read is as good as none: another can be
// asked for.
func (a *auth) load(ctx context.Context) (*token, error) {
	b, err := a.deps.Tokens.Load(ctx, a.name())
	if err != nil {
		return nil, fmt.Errorf("loading the token of %s: %w", a.deps.Account, err)
	}
	t := &token{}
	if b == nil || json.Unmarshal(b, t) != nil {
		return nil, nil
	}
	return t, nil
}

// ask trades the credentials for a token.
func (a *auth) ask(ctx context.Context) (*token, error) {
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
	status, answer, err := a.post(ctx, a.base+"/V1/integration/admin/token", "application/json", string(body))
	if err != nil {
		return nil, err
	}
	var text string
	if status != http.StatusOK || json.Unmarshal(answer, &text) != nil || text == "" {
		return nil, a.refused(status, message(answer))
	}
	return &token{Access: text, Expires: asked.Add(lifeOf(text, adminLife))}, nil
}

func (a *auth) askIMS(ctx context.Context) (*token, error) {
	secret, err := a.cfg.ClientSecret.Resolve()
	if err != nil {
		return nil, fmt.Errorf("reading client_secret: %w", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.cfg.ClientID}, "client_secret": {secret}, "scope": {a.cfg.Scope}}
	asked := a.deps.Now()
	status, answer, err := a.post(ctx, a.cfg.TokenURL, "application/x-www-form-urlencoded", form.Encode())
	if err != nil {
		return nil, err
	}
	var said struct {
		Access  string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
		Error   string `json:"error"`
	}
	if json.Unmarshal(answer, &said) != nil || status != http.StatusOK || said.Access == "" {
		return nil, a.refused(status, said.Error)
	}
	life := imsLife
	if said.Seconds > 0 {
		life = min(time.Duration(min(said.Seconds, 1<<31))*time.Second, 7*24*time.Hour)
	}
	return &token{Access: said.Access, Expires: asked.Add(life)}, nil
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

func (a *auth) post(ctx context.Context, address, contentType, body string) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("asking for a token: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("asking for a token: %w", httpx.RedactError(err))
	}
	if answer, err = httpx.ReadBody(resp, 1<<20); err != nil {
		return 0, nil, fmt.Errorf("asking for a token: %w", err)
	}
	return resp.StatusCode, answer, nil
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
