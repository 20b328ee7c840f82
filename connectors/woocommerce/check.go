package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/money"
)

// checker asks the shop, list by list, what this connection may do. It changes nothing.
type checker struct{ *client }

// maxSkew is how far OAuth timestamps may be off.
const maxSkew = 15 * time.Minute

// Check asks for one entry of each list that is used, and for the settings that decide
// whether stock can be written. Whether the key may write is told by no answer but that to a
// write: a batch of nothing is one. What its user may do is told by the settings, too: only
// shop managers see them, and they may write.
func (k *checker) Check(ctx context.Context) ([]connectors.CheckResult, error) {
	var results []connectors.CheckResult
	add := func(r connectors.CheckResult) {
		if r.OK {
			r.Advice = ""
		}
		results = append(results, r)
	}
	on := k.deps.Modules
	list := "orders"
	if !on.Has(connectors.ModuleOrders) {
		list = "products"
	}
	a, err := k.read(ctx, list, url.Values{"per_page": {"1"}, "_fields": {"id"}}, connectors.Normal)
	if err != nil {
		r := connectors.CheckResult{Subject: "shop " + k.base, Detail: err.Error(), Advice: "open " + k.base + "/wp-json/wc/v3/ in a browser: it has to answer JSON and nothing else; if it does not answer at all, check the address, its certificate and the network"}
		if errors.Is(err, connectors.ErrNeedsAuthorisation) {
			r.Advice = "make a REST API key with permission read/write under WooCommerce, Settings, Advanced, REST API, and check consumer_key and consumer_secret"
		}
		return []connectors.CheckResult{r}, ctx.Err()
	}
	add(connectors.CheckResult{Subject: "shop " + k.base, OK: true, Detail: "it answers, and " + list + " can be read"})
	if !a.date.IsZero() {
		skew := a.date.Sub(k.deps.Now()).Round(time.Second)
		add(connectors.CheckResult{
			Subject: "clock", OK: skew.Abs() < maxSkew, Detail: fmt.Sprintf("the shop's clock and ours differ by %s", skew.Abs()),
			Advice: "set the clocks: signed calls are refused beyond 15 minutes",
		})
	}
	taken := on.Any(connectors.ModuleOrders, connectors.ModuleProducts, connectors.ModuleInventory)
	listed := on.Any(connectors.ModuleProducts, connectors.ModuleInventory)
	for _, l := range []struct {
		path, what string
		needed     bool
	}{{"products", "products and listings", listed}, {"webhooks", "keeping webhooks", taken}} {
		if !l.needed {
			continue
		}
		_, err := k.read(ctx, l.path, url.Values{"per_page": {"1"}, "_fields": {"id"}}, connectors.Normal)
		r := connectors.CheckResult{Subject: "read " + l.path, OK: err == nil, Detail: "for " + l.what, Advice: "give the key's user the role of a shop manager"}
		if err != nil {
			r.Detail += ": " + err.Error()
		}
		add(r)
	}
	add(k.writes(ctx))
	if listed {
		add(k.variations(ctx))
	}
	for _, s := range []struct {
		needed        bool
		path, subject string
		judge         func(string) (bool, string)
	}{
		{on.Has(connectors.ModuleInventory), "products/woocommerce_manage_stock", "stock management", func(value string) (bool, string) {
			return value == "yes", "switch on stock management under WooCommerce, Settings, Products, Inventory: until then stock writes do nothing"
		}},
		{on.Any(connectors.ModuleProducts, connectors.ModuleFinance), "general/woocommerce_currency", "currency", func(value string) (bool, string) {
			return k.cfg.Currency == value, "set currency to " + value + ": without it listings carry no price"
		}},
		{on.Any(connectors.ModuleOrders, connectors.ModuleFinance), "general/woocommerce_price_num_decimals", "decimals of prices", func(value string) (bool, string) {
			exponent, ok := money.Exponent(Name, k.cfg.Currency)
			if !ok {
				exponent = 3
			}
			n, err := strconv.Atoi(value)
			return err == nil && n >= 0 && n <= exponent, "set the number of decimals to that of the currency: an order with finer amounts is refused"
		}},
	} {
		if s.needed {
			add(k.setting(ctx, s.path, s.subject, s.judge))
		}
	}
	if on.Has(connectors.ModuleOrders) {
		add(k.storage(ctx))
	}
	return results, nil
}

// writes asks for a batch of nothing: a key that may only read is refused it.
func (k *checker) writes(ctx context.Context) connectors.CheckResult {
	_, err := k.send(ctx, call{method: http.MethodPost, path: "products/batch", body: map[string]any{"update": []any{}}, priority: connectors.Normal})
	r := connectors.CheckResult{Subject: "write", OK: err == nil, Detail: "the key has permission read/write", Advice: "make a REST API key with permission read/write, of a user with the role of a shop manager"}
	if err != nil {
		r.Detail = err.Error()
	}
	return r
}

// storage tells where the shop keeps its orders. In posts, as before WooCommerce 8.2, an edit of
// lines alone does not move date_modified.
func (k *checker) storage(ctx context.Context) connectors.CheckResult {
	r := connectors.CheckResult{Subject: "storage of orders", OK: true, Detail: "high-performance order storage"}
	a, err := k.read(ctx, "settings/advanced/woocommerce_custom_orders_table_enabled", nil, connectors.Normal)
	var data struct {
		Value string `json:"value"`
	}
	switch {
	case err != nil && !isCode(err, codeNoSetting):
		r.OK, r.Detail, r.Advice = false, err.Error(), "give the key's user the role of a shop manager"
	case err != nil || json.Unmarshal([]byte(a.text), &data) != nil || data.Value != "yes":
		r.Detail = "posts: an edit of lines alone is told by webhook only, and where it takes some away it counts with the order's next change; high-performance order storage (WooCommerce, Settings, Advanced, Features) mends that"
	}
	return r
}

// codeNoSetting: the shop does not know the setting: it is older than it.
const codeNoSetting = "rest_setting_setting_invalid"

// variations asks whether the shop lists all variations at once.
func (k *checker) variations(ctx context.Context) connectors.CheckResult {
	whole, err := k.listsVariations(ctx)
	r := connectors.CheckResult{Subject: "list of all variations", OK: err == nil, Detail: "the shop has it", Advice: "give the key's user the role of a shop manager"}
	if err == nil && !whole {
		r.Detail = "the shop is older than WooCommerce 10.3: changes of variations are seen when their product changes"
	} else if err != nil {
		r.Detail = err.Error()
	}
	return r
}

// setting asks for one of the shop's settings.
func (k *checker) setting(ctx context.Context, path, subject string, judge func(string) (bool, string)) connectors.CheckResult {
	r := connectors.CheckResult{Subject: subject}
	a, err := k.read(ctx, "settings/"+path, nil, connectors.Normal)
	if err != nil {
		r.Detail, r.Advice = err.Error(), "give the key's user the role of a shop manager"
		return r
	}
	var data struct {
		Value any `json:"value"`
	}
	if err := json.Unmarshal([]byte(a.text), &data); err != nil || data.Value == nil {
		r.Detail, r.Advice = "the answer holds no value", "update WooCommerce"
		return r
	}
	value := strings.TrimSpace(fmt.Sprint(data.Value))
	r.Detail = "the shop says " + jsonread.Clip(value)
	r.OK, r.Advice = judge(value)
	return r
}
