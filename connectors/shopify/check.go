package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
)

// scope is one that the app was granted, or needs: what for, and by which modules.
type scope struct {
	name, what string
	modules    []connectors.Module
}

// scopes is what this connector needs.
func scopes() []scope {
	orders, products, inventory := connectors.ModuleOrders, connectors.ModuleProducts, connectors.ModuleInventory
	fulfilment, finance := connectors.ModuleFulfilment, connectors.ModuleFinance
	return []scope{
		{"read_orders", "orders and refunds", []connectors.Module{orders}},
		{"read_customers", "the buyer's id on orders", []connectors.Module{orders}},
		{"read_products", "products and listings", []connectors.Module{products, inventory}},
		{"read_inventory", "shown quantities", []connectors.Module{products, inventory}},
		{"write_inventory", "pushing quantities", []connectors.Module{inventory}},
		{"read_locations", "where stock lies", []connectors.Module{products, inventory}},
		{"write_products", "pushing prices", []connectors.Module{finance}},
		{"write_orders", "cancelling and refunding", []connectors.Module{fulfilment, finance}},
		{"write_merchant_managed_fulfillment_orders", "reporting shipments", []connectors.Module{fulfilment}},
	}
}

type checker struct{ *client }

// Check asks one question that tells everything: who we are, what we may, and what is left
// of the quota. It changes nothing.
func (k *checker) Check(ctx context.Context) ([]connectors.CheckResult, error) {
	a, err := k.read(ctx, &docInstallation, map[string]any{}, connectors.Normal)
	if err != nil {
		r := connectors.CheckResult{Subject: "shop " + k.cfg.Shop, Detail: err.Error(), Advice: "check shop, api_version and the network"}
		if errors.Is(err, connectors.ErrNeedsAuthorisation) {
			r.Advice = "check client_id, client_secret and the tokens, and that the app is installed in the shop"
		}
		return []connectors.CheckResult{r}, nil
	}
	var data struct {
		Shop struct {
			Name     string `json:"name"`
			Domain   string `json:"myshopifyDomain"`
			Currency string `json:"currencyCode"`
		} `json:"shop"`
		App *struct {
			Scopes []struct {
				Handle string `json:"handle"`
			} `json:"accessScopes"`
		} `json:"currentAppInstallation"`
		Locations struct {
			Nodes []struct {
				ID     string `json:"id"`
				Name   string `json:"name"`
				Active bool   `json:"isActive"`
			} `json:"nodes"`
		} `json:"locations"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return nil, fmt.Errorf("checking %s: %w", k.cfg.Shop, err)
	}
	results := []connectors.CheckResult{{
		Subject: "shop " + k.cfg.Shop, OK: strings.EqualFold(data.Shop.Domain, k.cfg.Shop),
		Detail: fmt.Sprintf("%s (%s, %s)", data.Shop.Name, data.Shop.Domain, data.Shop.Currency),
		Advice: "the token belongs to another shop: use the token of the shop in the configuration",
	}, {
		// Past its life a version "falls forward": Shopify answers in another one.
		Subject: "API version " + k.cfg.APIVersion, OK: a.apiVersion == k.cfg.APIVersion,
		Detail: "Shopify answers in version " + a.apiVersion,
		Advice: "the configured version is no longer served: set api_version to " + APIVersion + ", or take a newer release",
	}}
	if c := k.cfg.Currency; c != "" {
		results = append(results, connectors.CheckResult{
			Subject: "currency " + c, OK: c == data.Shop.Currency,
			Detail: "the shop trades in " + data.Shop.Currency, Advice: "set currency to " + data.Shop.Currency,
		})
	}
	granted := map[string]bool{}
	if data.App != nil {
		for _, s := range data.App.Scopes {
			granted[s.Handle] = true
			// Writing includes reading; Shopify lists only what was asked for.
			if rest, ok := strings.CutPrefix(s.Handle, "write_"); ok {
				granted["read_"+rest] = true
			}
		}
	}
	want := scopes()
	if k.cfg.ReadAllOrders {
		want = append(want, scope{"read_all_orders", "orders older than 60 days", []connectors.Module{connectors.ModuleOrders}})
	}
	for _, s := range want {
		if !k.deps.Modules.Any(s.modules...) {
			continue
		}
		r := connectors.CheckResult{Subject: "scope " + s.name, OK: granted[s.name], Detail: "for " + s.what}
		if !r.OK {
			r.Advice = "add " + s.name + " to the app's scopes and let the shop's owner approve it"
		}
		results = append(results, r)
	}
	if t := a.throttle; t != nil {
		results = append(results, connectors.CheckResult{
			Subject: "quota", OK: t.Status.Restore > 0,
			Detail: fmt.Sprintf("%.0f of %.0f points, %.0f more per second", t.Status.Available, t.Status.Maximum, t.Status.Restore),
			Advice: "Shopify gives this app no quota: ask its support",
		})
	}
	var active []string
	for _, l := range data.Locations.Nodes {
		if l.Active {
			active = append(active, number(l.ID))
		}
	}
	at := connectors.CheckResult{Subject: "location", Detail: "active: " + strings.Join(active, ", ")}
	if k.cfg.LocationID == "" {
		at.OK, at.Advice = len(active) == 1, "say in location_id which location is pushed to"
	} else {
		for _, id := range active {
			at.OK = at.OK || id == k.cfg.LocationID
		}
		at.Advice = "location_id is none of the active locations"
	}
	if k.deps.Modules.Has(connectors.ModuleInventory) {
		results = append(results, at)
	}
	for i := range results {
		if results[i].OK {
			results[i].Advice = ""
		}
	}
	return results, nil
}

type keeper struct{ *client }

// EnsureWebhooks subscribes the address to every topic that the receiver knows. Shopify
// deletes a subscription after its retries were used up, so that this is called again and
// again; what is right already is left alone. A subscription of a topic that points to the
// same path on another host is ours from before a move, and is turned to the new host.
func (k *keeper) EnsureWebhooks(ctx context.Context, address string) error {
	want, err := url.Parse(address)
	if err != nil || want.Host == "" {
		return fmt.Errorf("%w: %q is no address for webhooks: write it as https://…", connectors.ErrPermanent, address)
	}
	type subscription struct {
		ID     string `json:"id"`
		Topic  string `json:"topic"`
		URI    string `json:"uri"`
		Format string `json:"format"`
	}
	have := map[string][]subscription{}
	var after any
	for more := true; more; {
		a, err := k.read(ctx, &docSubscriptions, map[string]any{"first": 100, "after": after}, connectors.Normal)
		if err != nil {
			return fmt.Errorf("listing webhooks: %w", err)
		}
		page, err := readPage(a.data, "webhookSubscriptions")
		if err != nil {
			return fmt.Errorf("listing webhooks: %w", err)
		}
		for _, node := range page.nodes {
			var s subscription
			if err := json.Unmarshal([]byte(node), &s); err != nil {
				return fmt.Errorf("listing webhooks: %w", err)
			}
			have[s.Topic] = append(have[s.Topic], s)
		}
		more, after = page.next, page.cursor
	}
	for _, t := range topics() {
		name := strings.ToUpper(strings.ReplaceAll(t.name, "/", "_"))
		body := map[string]any{"uri": address, "format": "JSON"}
		d, vars := &docSubscribe, map[string]any{"topic": name, "subscription": body}
		right := false
		for _, s := range have[name] {
			if right = s.URI == address && s.Format == "JSON"; right {
				break
			}
			if u, err := url.Parse(s.URI); err == nil && u.Path == want.Path {
				d, vars = &docResubscribe, map[string]any{"id": s.ID, "subscription": body}
			}
		}
		if right {
			continue
		}
		a, err := k.read(ctx, d, vars, connectors.Normal)
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", t.name, err)
		}
		var data map[string]struct {
			Errors []userError `json:"userErrors"`
		}
		if err := json.Unmarshal([]byte(a.data), &data); err != nil {
			return fmt.Errorf("subscribing to %s: %w", t.name, err)
		}
		for _, payload := range data {
			for _, e := range payload.Errors {
				return fmt.Errorf("%w: Shopify refuses to subscribe to %s: %s", connectors.ErrPermanent, t.name, calls.Clip(e.Message))
			}
		}
	}
	return nil
}
