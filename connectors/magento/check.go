package magento

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

type checker struct{ *client }

// probe is one thing to ask for, that needs one resource of the integration.
type probe struct {
	resource, path, what string
	modules              []connectors.Module
}

func probes() []probe {
	type needed = []connectors.Module
	return []probe{
		{"Magento_Sales::actions_view", "/V1/orders", "orders", needed{connectors.ModuleOrders, connectors.ModuleFulfilment, connectors.ModuleFinance, connectors.ModuleInventory}},
		{"Magento_Sales::shipment", "/V1/shipments", "shipments", needed{connectors.ModuleOrders, connectors.ModuleFulfilment}},
		{"Magento_Sales::sales_creditmemo", "/V1/creditmemos", "refunds", needed{connectors.ModuleOrders, connectors.ModuleFinance}},
		{"Magento_Catalog::products", "/V1/products", "products, and the right to write prices", needed{connectors.ModuleProducts, connectors.ModuleFinance}},
		{"Magento_InventoryApi::source", "/V1/inventory/source-items", "quantities, and the right to write them", needed{connectors.ModuleInventory}},
	}
}

// Check asks for one of everything that this connection needs. It changes nothing.
func (k *checker) Check(ctx context.Context) ([]connectors.CheckResult, error) {
	results := []connectors.CheckResult{k.shop(ctx)}
	if !results[0].OK {
		return results, ctx.Err()
	}
	for _, p := range probes() {
		if !k.deps.Modules.Any(p.modules...) {
			continue
		}
		r := connectors.CheckResult{Subject: "resource " + p.resource, OK: true, Detail: "for " + p.what}
		if _, err := k.read(ctx, p.path, search{size: 1}.query(), connectors.Normal); err != nil {
			r.OK, r.Detail = false, err.Error()
			r.Advice = "look at the shop's log"
			if errors.Is(err, connectors.ErrNeedsAuthorisation) {
				r.Advice = "System > Integrations > (this one) > API: allow " + p.resource + ", then Reauthorize"
			} else if errors.Is(err, errNotFound) {
				r.Advice = "the shop does not have this part of the API: is the module switched off?"
			}
		}
		results = append(results, r)
	}
	if k.deps.Modules.Has(connectors.ModuleInventory) {
		results = append(results, k.source(ctx))
	}
	return results, ctx.Err()
}

// shop asks who answers, in which currency.
func (k *checker) shop(ctx context.Context) connectors.CheckResult {
	r := connectors.CheckResult{Subject: "shop " + k.base}
	a, err := k.read(ctx, "/V1/store/storeConfigs", nil, connectors.Normal)
	if err != nil {
		r.Detail, r.Advice = err.Error(), "check the address, store and the network"
		if errors.Is(err, connectors.ErrNeedsAuthorisation) {
			r.Advice = "check the keys, that the integration is active, and that it has Magento_Backend::store; a bearer token has to be allowed by the shop (oauth/consumer/enable_integration_as_bearer)"
		}
		return r
	}
	var stores []struct {
		Code     string `json:"code"`
		Currency string `json:"base_currency_code"`
		Zone     string `json:"timezone"`
	}
	if err := json.Unmarshal([]byte(a.body), &stores); err != nil {
		r.Detail, r.Advice = "the answer cannot be read: "+err.Error(), "check that the address is that of a Magento shop"
		return r
	}
	var codes, currencies []string
	for _, s := range stores {
		codes = append(codes, s.Code)
		if !slices.Contains(currencies, s.Currency) {
			currencies = append(currencies, s.Currency)
		}
	}
	r.Detail = fmt.Sprintf("stores %s, base currency %s", strings.Join(codes, ", "), strings.Join(currencies, ", "))
	r.OK = k.cfg.Currency == "" || slices.Contains(currencies, k.cfg.Currency)
	if !r.OK {
		r.Advice = "set currency to the base currency of the shop"
	}
	return r
}

// source asks whether the source that is written to is there and open.
func (k *checker) source(ctx context.Context) connectors.CheckResult {
	r := connectors.CheckResult{Subject: "source " + k.cfg.Source}
	a, err := k.read(ctx, "/V1/inventory/sources/"+k.cfg.Source, nil, connectors.Normal)
	if err != nil {
		r.Detail, r.Advice = err.Error(), "set source to the code of a source (Stores > Inventory > Sources), and allow Magento_InventoryApi::source"
		return r
	}
	var s struct {
		Name    string `json:"name"`
		Enabled bool   `json:"enabled"`
	}
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		r.Detail, r.Advice = "the answer cannot be read: "+err.Error(), "look at the shop's log"
		return r
	}
	r.OK, r.Detail = s.Enabled, s.Name
	if !r.OK {
		r.Advice = "the source is switched off: what is written to it is not sold"
	}
	return r
}
