package ebay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/bearer"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// The seller's consent: the authorization code grant. eBay sends the browser to the address
// that is on file for the RuName, which must be https, and offers no PKCE. What is kept is the
// refresh token; it does not rotate, so that it is written once and only read after that.
// https://developer.ebay.com/api-docs/static/oauth-authorization-code-grant.html

// Hosts of the consent page.
const (
	consentHost        = "https://auth.ebay.com"
	consentHostSandbox = "https://auth.sandbox.ebay.com"
)

type authorizer struct{ *client }

// consentName is what the store keeps the refresh token under.
func consentName(account string) string { return "ebay/" + account + "/consent" }

// Guide says what the seller consents to.
func (z *authorizer) Guide() connectors.AuthorizeGuide {
	g := connectors.AuthorizeGuide{
		Title: "the eBay seller of " + z.deps.Account, Way: connectors.AuthorizeByBrowser, Registered: true,
		Steps: []string{
			"At developer.ebay.com, User tokens, your application must have a redirect (RuName) with OAuth enabled; set ru_name to it.",
			"Its accepted address may lead to the callback named below; if it does not, copy the address that the browser shows in the end.",
			"Log in as the seller, not as the developer.",
		},
	}
	for _, s := range scopes() {
		g.Needs = append(g.Needs, s[0]+": "+s[1])
	}
	return g
}

// AuthorizeURL is the consent page.
func (z *authorizer) AuthorizeURL(r connectors.AuthorizeRequest) (string, error) {
	if z.cfg.RuName == "" {
		return "", errors.New("set ru_name to the RuName of the application (developer.ebay.com, User tokens)")
	}
	if z.cfg.RefreshToken != "" {
		return "", errors.New("refresh_token is set and would be used instead of what the seller gives: take it out of the configuration")
	}
	base := consentHost
	switch {
	case z.cfg.TestBaseURL != "":
		base = z.base
	case z.cfg.Sandbox:
		base = consentHostSandbox
	}
	all := []string{basicScope}
	for _, s := range scopes() {
		all = append(all, s[0])
	}
	query := url.Values{
		"client_id": {z.cfg.ClientID}, "redirect_uri": {z.cfg.RuName}, "response_type": {"code"},
		"scope": {strings.Join(all, " ")}, "state": {r.State}, "prompt": {"login"},
	}
	return base + "/oauth2/authorize?" + strings.ReplaceAll(query.Encode(), "+", "%20"), nil
}

// State is in the query.
func (z *authorizer) State(a *connectors.AuthorizeAnswer) string { return a.Query.Get("state") }

// Exchange spends the code for a refresh token and keeps that.
func (z *authorizer) Exchange(ctx context.Context, _ connectors.AuthorizeRequest, a *connectors.AuthorizeAnswer) error {
	code := a.Query.Get("code")
	if code == "" {
		return fmt.Errorf("%w: the seller did not consent (%s)", connectors.ErrNeedsAuthorisation, jsonread.Clip(a.Query.Get("error")))
	}
	secret, err := z.cfg.ClientSecret.Resolve()
	if err != nil {
		return fmt.Errorf("reading client_secret: %w", err)
	}
	answer, err := z.tokens[asUser].ask(ctx, z.cfg.ClientID, secret, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {z.cfg.RuName},
	})
	if err != nil {
		return err
	}
	if answer.Refresh == "" {
		return errors.New("eBay gave no refresh token: begin anew")
	}
	return bearer.Keep(ctx, z.deps, consentName(z.deps.Account), answer.Refresh)
}

// stored reports whether the seller's refresh token is the one that Exchange kept.
func (a *auth) stored() bool { return a.actor == asUser && a.cfg.RefreshToken == "" }

// loadConsent returns the kept refresh token.
func (a *auth) loadConsent(ctx context.Context) (string, error) {
	kept, err := bearer.Kept(ctx, a.deps, consentName(a.deps.Account))
	if err == nil && kept == "" {
		err = fmt.Errorf("%w: no seller has consented yet: run `crossdock connect %s`, or set refresh_token", connectors.ErrNeedsAuthorisation, a.deps.Account)
	}
	return kept, err
}
