package magento

import (
	"context"
	"errors"
	"fmt"

	"github.com/helloword/crossdock/connectors"
)

// An integration's keys are made in the shop's admin and shown there. (The shop can also post
// them to an address, but only while an administrator activates the integration, and to one
// that identifies itself by a page of its own: nothing that is easier than copying four keys.)

type authorizer struct {
	cfg     Config
	account string
}

// Guide says what to make, and where the keys belong.
func (z *authorizer) Guide() connectors.AuthorizeGuide {
	address := z.cfg.BaseURL
	if z.cfg.TestBaseURL != "" {
		address = z.cfg.TestBaseURL
	}
	g := connectors.AuthorizeGuide{Title: "the shop " + address, Way: connectors.AuthorizeByHand}
	for _, p := range probes() {
		g.Needs = append(g.Needs, p.resource+": "+p.what)
	}
	put := func(what, key string, s connectors.Secret) string {
		return fmt.Sprintf("Put %s where %s points (%s).", what, key, s)
	}
	switch z.cfg.Auth {
	case AuthOAuth, AuthBearer:
		g.Steps = append(g.Steps,
			"In the shop's admin: System, Extensions, Integrations, Add New Integration; under API choose Custom and the resources above.",
			"Save, then Activate and Allow: the keys are shown.")
		if z.cfg.Auth == AuthOAuth {
			g.Steps = append(g.Steps, put("the consumer key", "consumer_key", z.cfg.ConsumerKey), put("the consumer secret", "consumer_secret", z.cfg.ConsumerSecret))
		}
		g.Steps = append(g.Steps, put("the access token", "access_token", z.cfg.AccessToken))
		if z.cfg.Auth == AuthOAuth {
			g.Steps = append(g.Steps, put("the access token secret", "access_token_secret", z.cfg.AccessTokenSecret))
		}
	case AuthAdmin:
		g.Steps = append(g.Steps, "The administrator "+z.cfg.Username+" needs a role with the resources above, and no second factor.", put("the password", "password", z.cfg.Password))
	case AuthIMS:
		g.Steps = append(g.Steps, "In the Adobe Developer Console make an OAuth server-to-server credential with the scope commerce.accs.", put("its secret", "client_secret", z.cfg.ClientSecret))
	}
	return g
}

// AuthorizeURL is not offered: there is no page to send the owner to.
func (z *authorizer) AuthorizeURL(connectors.AuthorizeRequest) (string, error) {
	return "", errors.New("keys are made in the shop's admin")
}

// State: there is no answer.
func (z *authorizer) State(*connectors.AuthorizeAnswer) string { return "" }

// Exchange is never needed.
func (z *authorizer) Exchange(context.Context, connectors.AuthorizeRequest, *connectors.AuthorizeAnswer) error {
	return errors.New("keys are made in the shop's admin")
}
