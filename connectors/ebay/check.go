package ebay

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
)

// scopes is what the seller's consent has to include, and what for.
func scopes() [][2]string {
	return [][2]string{
		{"https://api.ebay.com/oauth/api_scope/sell.fulfillment", "orders, shipments and refunds"},
		{"https://api.ebay.com/oauth/api_scope/sell.inventory", "listings, stock and prices"},
		{"https://api.ebay.com/oauth/api_scope/commerce.notification.subscription", "notifications of orders"},
		{"https://api.ebay.com/oauth/api_scope/sell.payment.dispute", "payment disputes, which put their orders on hold"},
	}
}

type checker struct{ *client }

// Check asks one small question of each API and says for each that fails what to do. It
// changes nothing.
func (k *checker) Check(ctx context.Context) ([]connectors.CheckResult, error) {
	now := k.deps.Now()
	small := url.Values{"limit": {"1"}}
	list := scopes()
	type needed = []connectors.Module // none: by all
	orders := needed{connectors.ModuleOrders}
	questions := []struct {
		modules         needed
		subject, advice string
		request
	}{
		{nil, "keyset", "check client_id and client_secret, and that the keyset answers eBay's account deletion notices: eBay disables keysets that do not", request{endpoint: callLimits}},
		{needed{connectors.ModuleOrders, connectors.ModuleFulfilment, connectors.ModuleFinance}, "scope sell.fulfillment for " + list[0][1], "let the seller consent again, with the scope " + list[0][0], request{endpoint: callOrders, query: url.Values{
			"limit": {"1"}, "filter": {"lastmodifieddate:[" + stamp(now.AddDate(0, 0, -1)) + "..]"},
		}}},
		{needed{connectors.ModuleProducts, connectors.ModuleInventory, connectors.ModuleFinance}, "scope sell.inventory for " + list[1][1], "let the seller consent again, with the scope " + list[1][0], request{endpoint: callItems, query: url.Values{"limit": {"1"}, "offset": {"0"}}}},
		{orders, "scope sell.payment.dispute for " + list[3][1], "let the seller consent again, with the scope " + list[3][0], request{endpoint: callDisputes, query: small}},
		{nil, "notifications of the application", "check the keyset", request{endpoint: callPlaces, query: small}},
		{orders, "scope commerce.notification.subscription for " + list[2][1], "let the seller consent again, with the scope " + list[2][0], request{endpoint: callTopics, as: asUser, query: small}},
	}
	var results []connectors.CheckResult
	for _, q := range questions {
		if len(q.modules) > 0 && !k.deps.Modules.Any(q.modules...) {
			continue
		}
		r := connectors.CheckResult{Subject: q.subject, OK: true, Detail: "answers"}
		a, err := k.read(ctx, q.request)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			r.OK, r.Detail, r.Advice = false, calls.Clip(err.Error()), q.advice
			var retry *connectors.RetryAfterError
			if errors.As(err, &retry) {
				r.Advice = "the quota is used up: wait, or ask eBay for a higher one (Application Growth Check)"
			} else if !errors.Is(err, connectors.ErrNeedsAuthorisation) {
				r.Advice = "eBay cannot be reached, or does not answer as it should: check the network, then try again"
			}
		case q.endpoint == callLimits && len(a.body) > 0:
			var limits rateLimits
			if err := decode(a, callLimits.name(), &limits); err == nil {
				r.Detail = quotaText(limits)
			}
		}
		results = append(results, r)
	}
	return append(results, k.own()...), nil
}

// quotaText is what is left of the quotas of the APIs that we use.
func quotaText(limits rateLimits) string {
	text := ""
	for _, l := range limits.Limits {
		for _, res := range l.Resources {
			for _, r := range res.Rates {
				if text != "" {
					text += ", "
				}
				text += fmt.Sprintf("%s: %d of %d calls left", res.Name, r.Remaining, r.Limit)
			}
		}
	}
	if text == "" {
		return "answers; no quotas were told"
	}
	return calls.Clip(text)
}

// own checks what needs no question.
func (k *checker) own() []connectors.CheckResult {
	var results []connectors.CheckResult
	hooks := connectors.CheckResult{Subject: "endpoint", OK: true, Detail: k.cfg.Endpoint}
	if k.cfg.Endpoint == "" {
		hooks.OK, hooks.Detail = false, "not set"
		hooks.Advice = "set endpoint, verification_token and alert_email: without them eBay's challenge is not answered, no notification comes, and account deletion notices have to be answered elsewhere"
	} else if _, err := verification(k.cfg); err != nil {
		hooks.OK, hooks.Detail, hooks.Advice = false, err.Error(), "write 32 to 80 letters, digits, _ and - where verification_token points"
	}
	results = append(results, hooks)
	if m, _ := marketplaceOf(k.cfg.Marketplace); m.signed && k.deps.Modules.Any(connectors.ModuleFulfilment, connectors.ModuleFinance) {
		r := connectors.CheckResult{Subject: "digital signature", OK: true, Detail: "a key is configured"}
		if k.cfg.SigningJWE == "" {
			r.OK, r.Detail = false, "no key"
			r.Advice = "sellers of the EU and the UK cannot refund without: make a key with createSigningKey of the Key Management API, and set signing_jwe and signing_key"
		} else if err := k.sign.usable(); err != nil {
			r.OK, r.Detail, r.Advice = false, err.Error(), "take jwe and privateKey as createSigningKey gave them"
		}
		results = append(results, r)
	}
	return results
}
