package amazon

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/bearer"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// The seller's authorisation by the website workflow: Seller Central asks the seller, and sends
// the browser to the application's redirect address, which is on file and must be https. There
// is no PKCE. What is kept is the refresh token; it does not rotate.
// https://developer-docs.amazon.com/sp-api/docs/website-authorization-workflow

type authorizer struct{ *client }

// authorisationName is what the store keeps the refresh token under.
func authorisationName(account string) string { return "amazon/" + account + "/authorisation" }

// Guide says what the seller agrees to.
func (z *authorizer) Guide() connectors.AuthorizeGuide {
	g := connectors.AuthorizeGuide{
		Title: "the Amazon seller " + z.cfg.SellerID + " of " + z.deps.Account, Way: connectors.AuthorizeByBrowser, Registered: true,
		Needs: []string{
			"role Inventory and Order Tracking: orders, notifications",
			"role Product Listing: listings, quantities, prices",
		},
		Steps: []string{
			"The application needs an OAuth login and redirect address (Develop Apps, Edit App); set application_id, seller_central, and draft while it is not published.",
			"The redirect address may lead to the callback named below; if it does not, copy the address that the browser shows in the end, within five minutes.",
			"For your own seller account there is a shorter way: Develop Apps, Authorize, and put the refresh token where refresh_token points.",
		},
	}
	if z.cfg.FBA {
		g.Needs = append(g.Needs, "role Amazon Fulfillment: what lies in Amazon's warehouses")
	}
	return g
}

// AuthorizeURL is Seller Central's page.
func (z *authorizer) AuthorizeURL(r connectors.AuthorizeRequest) (string, error) {
	switch {
	case z.cfg.RefreshToken != "":
		return "", errors.New("refresh_token is set and would be used instead of what the seller gives: take it out of the configuration")
	case z.cfg.ApplicationID == "":
		return "", errors.New("set application_id to the application's id (Develop Apps; amzn1.sp.solution.…)")
	case z.cfg.SellerCentral == "" && z.cfg.TestBaseURL == "":
		return "", errors.New("set seller_central to the address where the seller logs in, e.g. https://sellercentral.amazon.co.uk")
	}
	base := z.cfg.SellerCentral
	if z.cfg.TestBaseURL != "" {
		base = z.cfg.TestBaseURL
	}
	query := url.Values{"application_id": {z.cfg.ApplicationID}, "state": {r.State}}
	if z.cfg.Draft {
		query.Set("version", "beta")
	}
	return base + "/apps/authorize/consent?" + query.Encode(), nil
}

// State is in the query.
func (z *authorizer) State(a *connectors.AuthorizeAnswer) string { return a.Query.Get("state") }

// Exchange spends the code for a refresh token and keeps that. Another seller than the
// configured one is refused: its orders would be taken for this connection's.
func (z *authorizer) Exchange(ctx context.Context, _ connectors.AuthorizeRequest, a *connectors.AuthorizeAnswer) error {
	code, seller := a.Query.Get("spapi_oauth_code"), a.Query.Get("selling_partner_id")
	if code == "" {
		return fmt.Errorf("%w: the seller did not authorise the application (%s)", connectors.ErrNeedsAuthorisation, jsonread.Clip(a.Query.Get("error")))
	}
	if subtle.ConstantTimeCompare([]byte(seller), []byte(z.cfg.SellerID)) != 1 {
		return fmt.Errorf("%w: seller %s has authorised, but this connection is of %s: log in as that one", connectors.ErrNeedsAuthorisation, jsonread.Clip(seller), z.cfg.SellerID)
	}
	secret, err := z.cfg.ClientSecret.Resolve()
	if err != nil {
		return fmt.Errorf("reading client_secret: %w", err)
	}
	answer, err := z.auth.askWith(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {z.cfg.ClientID}}, secret)
	if err != nil {
		return err
	}
	if answer.Refresh == "" {
		return errors.New("Amazon gave no refresh token: begin anew")
	}
	return bearer.Keep(ctx, z.deps, authorisationName(z.deps.Account), answer.Refresh)
}

// refresh is the seller's refresh token: the configured one, or the one that Exchange kept. It
// is asked for at a refresh only, so that a new one takes effect then.
func (a *auth) refresh(ctx context.Context) (string, error) {
	if a.cfg.RefreshToken != "" {
		text, err := a.cfg.RefreshToken.Resolve()
		if err != nil {
			return "", fmt.Errorf("reading refresh_token: %w", err)
		}
		return text, nil
	}
	kept, err := bearer.Kept(ctx, a.deps, authorisationName(a.deps.Account))
	if err == nil && kept == "" {
		err = fmt.Errorf("%w: no seller has authorised the application yet: run `crossdock connect %s`, or set refresh_token", connectors.ErrNeedsAuthorisation, a.deps.Account)
	}
	return kept, err
}
