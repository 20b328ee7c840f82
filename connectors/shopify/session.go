package shopify

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/helloword/crossdock/connectors"
)

// An owner who installs the app from the admin (Shopify managed installation) is sent nowhere:
// the admin opens the app's own address with a session token in the query, which is exchanged
// for the same tokens as a code is.
// https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/token-exchange
// https://shopify.dev/docs/apps/build/authentication-authorization/session-tokens

// idToken is the member of the query that holds the session token.
const idToken = "id_token"

// sessionLeeway is by how much the clocks may differ; Shopify's own library allows as much.
const sessionLeeway = 10 * time.Second

// sessionForm is the one spelling of a token that is taken: decoders of base64 pass over line
// breaks. Its length is bounded by that of the query.
var sessionForm = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

// sessionClaims of a session token.
type sessionClaims struct {
	jwt.RegisteredClaims
	// Dest is the shop: https://name.myshopify.com.
	Dest string `json:"dest"`
}

// ExchangeSession checks that the query with which the app's address was opened is Shopify's (see
// VerifySession), exchanges its session token for an expiring offline token, saves that with its
// refresh token, and says which scopes the app was granted.
//
// Errors: connectors.ErrUnauthentic for a query that is not from Shopify, of this shop, for this
// app and in time; connectors.ErrNeedsAuthorisation when Shopify refuses the session token: open
// the app again. A session token is good until it ends, about a minute: after a lost answer the
// same call exchanges it again, and when only saving failed, the same call saves what was given.
func (a *authorisation) ExchangeSession(ctx context.Context, rawQuery string) (granted []string, err error) {
	session, err := a.VerifySession(rawQuery)
	if err != nil {
		return nil, err
	}
	return a.gain(ctx, session, url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":        {session},
		"subject_token_type":   {"urn:ietf:params:oauth:token-type:id_token"},
		"requested_token_type": {"urn:shopify:params:oauth:token-type:offline-access-token"},
	})
}

// VerifySession checks the query with which the app's address was opened, as it was received, and
// returns its session token: the query signed, of this shop and fresh, and in it a token signed
// with HS256 and one of our secrets, for this app and this shop, which is good now.
func (a *authorisation) VerifySession(rawQuery string) (session string, err error) {
	members, err := a.signed(rawQuery)
	if err != nil {
		return "", err
	}
	session = members[idToken]
	if session == "" {
		return "", fmt.Errorf("%w: the call holds no session token: is the app embedded in the admin?", connectors.ErrUnauthentic)
	}
	return session, a.checkSession(session)
}

// checkSession checks a session token alone.
func (a *authorisation) checkSession(session string) error {
	if !sessionForm.MatchString(session) {
		return fmt.Errorf("%w: the session token cannot be read", connectors.ErrUnauthentic)
	}
	secrets, err := a.cfg.signing()
	if err != nil {
		return fmt.Errorf("checking a session token: %w", err)
	}
	keys := jwt.VerificationKeySet{}
	for _, secret := range secrets {
		keys.Keys = append(keys.Keys, []byte(secret))
	}
	var claims sessionClaims
	if _, err := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(), jwt.WithAudience(a.cfg.ClientID),
		jwt.WithExpirationRequired(), jwt.WithLeeway(sessionLeeway), jwt.WithTimeFunc(a.auth.deps.Now),
	).ParseWithClaims(session, &claims, func(*jwt.Token) (any, error) { return keys, nil }); err != nil {
		// The library's words name claims and never their values.
		return fmt.Errorf("%w: the session token is refused: %s: open the app again, and check client_id, client_secret and this machine's clock", connectors.ErrUnauthentic, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	for _, of := range []string{claims.Issuer, claims.Dest} {
		if u, err := url.Parse(of); err != nil || u.Scheme != "https" || u.Host != a.cfg.Shop {
			return fmt.Errorf("%w: the session token is of another shop: open the app in the admin of %s", connectors.ErrUnauthentic, a.cfg.Shop)
		}
	}
	return nil
}
