package shopify

import (
	"context"
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// authorizer is the owner's agreement as the contract asks for it.
type authorizer struct{ *authorisation }

// Guide says what the owner agrees to. The callback travels in the address, so that it is
// reached as it is, once it is on the app's list.
func (z *authorizer) Guide() connectors.AuthorizeGuide {
	return connectors.AuthorizeGuide{
		Title: "the app's access to " + z.cfg.Shop, Way: connectors.AuthorizeByBrowser,
		Needs: z.Scopes(),
		Steps: []string{
			"In the dev dashboard the callback named below must be on the app's list of redirect addresses.",
			"Log in to " + z.cfg.Shop + " as its owner, or as staff who may install apps.",
			"Or, when the app is embedded in the admin: its App URL leads to the callback (https, see --callback-url), and you install and open the app there instead.",
		},
	}
}

// AuthorizeURL is the page on which the owner agrees.
func (z *authorizer) AuthorizeURL(r connectors.AuthorizeRequest) (string, error) {
	if !z.cfg.Rotates() {
		return "", fmt.Errorf("auth %s needs no agreement in the browser: set auth to %s", z.cfg.Auth, AuthAuthorizationCode)
	}
	return z.authorisation.AuthorizeURL(r.State, r.Callback)
}

// State is in the query.
func (z *authorizer) State(a *connectors.AuthorizeAnswer) string { return a.Query.Get("state") }

// Opened recognises the admin's call of the app's address by its session token.
func (z *authorizer) Opened(a *connectors.AuthorizeAnswer) error {
	_, err := z.VerifySession(a.RawQuery)
	return err
}

// Frames are the shop's admin, by both of its names.
// https://shopify.dev/docs/apps/build/security/set-up-iframe-protection
func (z *authorizer) Frames() []string {
	return []string{"https://" + z.cfg.Shop, "https://admin.shopify.com"}
}

// Exchange checks the query as it was received, and keeps the tokens that its code, or its
// session token, is good for.
func (z *authorizer) Exchange(ctx context.Context, r connectors.AuthorizeRequest, a *connectors.AuthorizeAnswer) (err error) {
	var granted []string
	if a.Query.Has(idToken) {
		granted, err = z.ExchangeSession(ctx, a.RawQuery)
	} else {
		granted, err = z.authorisation.Exchange(ctx, a.RawQuery, r.State)
	}
	if err != nil {
		return err
	}
	if missing := z.Missing(granted); len(missing) > 0 {
		z.auth.deps.Log.Warn("the owner did not grant all that was asked for", "account", z.auth.deps.Account, "missing", strings.Join(missing, " "))
	}
	return nil
}
