package config

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/connectors/woocommerce"
	"github.com/helloword/crossdock/schemas"
)

// What must hold between the keys of a file.

// Validate reports everything that is wrong, each with file, line and key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key string, err error) {
		if err != nil {
			errs = append(errs, c.at(key, err))
		}
	}
	scope := c.Scope()
	if err := scope.Validate(); err != nil {
		key := "tenant"
		if strings.HasPrefix(err.Error(), "environment") {
			key = "environment"
		}
		bad(key, err)
	}
	bad("kafka", c.KafkaConfig().Validate())
	if c.Kafka.Partitions.Wide < 1 || c.Kafka.Partitions.Narrow < 1 {
		bad("kafka.partitions", errors.New("at least 1 each"))
	}
	if c.Kafka.Replicas < 1 {
		bad("kafka.replicas", errors.New("at least 1"))
	}
	bad("redis", c.RedisConfig().Validate())
	bad("clickhouse", c.ClickHouseConfig().Validate())
	bad("alert", c.AlertConfig().Validate())
	bad("fx", c.FxConfig().Validate())
	bad("tokens", c.Tokens.Validate())
	for _, d := range []struct {
		key          string
		value, least time.Duration
	}{
		{"increase_delay", c.Push.Delay, 0}, {"stale_patience", c.Push.Patience, 0}, {"park_max", c.Push.ParkMax, time.Second},
		{"reauthorise_every", c.Push.Owner, time.Second}, {"call_timeout", c.Push.Call, time.Second}, {"command_patience", c.Push.Commands, time.Minute},
	} {
		if d.value < d.least {
			bad("push."+d.key, fmt.Errorf("%s is too short: at least %s", d.value, d.least))
		}
	}
	bad("telemetry.traces", c.TraceConfig().Validate())
	interval := func(key string, d time.Duration) {
		if d < time.Second {
			bad(key, fmt.Errorf("%s is too short: platforms count their calls; 15m to 30m is usual", d))
		}
	}
	interval("poll.interval", c.Poll.Interval)
	bad("poll", c.Poll.Plan().Validate())
	if d := c.Privacy.Interval; d < time.Second || d > 24*time.Hour {
		bad("privacy.interval", fmt.Errorf("%s is not between 1s and 24h: requests have weeks, 1h is usual", d))
	}
	for _, name := range c.Names() {
		key := "connections." + name + ".poll"
		if own := c.Connections[name].Poll; own != nil {
			if own.Interval != 0 {
				interval(key+".interval", own.Interval)
			}
			bad(key, own.Plan().Validate())
		}
	}
	switch c.Telemetry.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		bad("telemetry.log_level", fmt.Errorf("%q: use debug, info, warn or error", c.Telemetry.LogLevel))
	}
	for i, m := range c.Catalog.Mappings {
		key := fmt.Sprintf("catalog.mappings[%d]", i)
		if _, ok := c.Connections[m.Account]; !ok {
			bad(key, fmt.Errorf("account %q is not a connection", m.Account))
		}
		if m.SKU == "" || (m.Listing == "") == (m.PlatformSKU == "") {
			bad(key, errors.New("give sku, and either listing or platform_sku"))
		}
	}
	if g := c.Stock.Gather; g < 0 || g > time.Minute {
		bad("stock.gather", fmt.Errorf("%s: use 0 to 1m", g))
	}
	for i, p := range c.Stock.Policies {
		if p.Buffer < 0 || p.BufferBP < 0 || p.BufferBP > 10_000 || p.MaxListed < 0 || p.PauseAt < 0 {
			bad(fmt.Sprintf("stock.policies[%d]", i), errors.New("no negative figures, and buffer_bp up to 10000"))
		}
		if p.PauseAt > 0 && p.ResumeAt <= p.PauseAt {
			bad(fmt.Sprintf("stock.policies[%d]", i), fmt.Errorf("resume_at %d must be above pause_at %d, or the listing flaps", p.ResumeAt, p.PauseAt))
		}
	}
	for _, name := range c.Names() {
		if i, err := c.Connections[name].Modules.Validate(); err != nil {
			bad(fmt.Sprintf("connections.%s.modules[%d]", name, i), err)
		}
		bad("connections."+name, c.connection(name))
	}
	return errors.Join(errs...)
}

// Names of the connections, sorted.
func (c *Config) Names() []string {
	names := make([]string, 0, len(c.Connections))
	for n := range c.Connections {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// connection checks one.
func (c *Config) connection(name string) error {
	n := c.Connections[name]
	if strings.ContainsAny(name, "/|. \t") || name == "" {
		return fmt.Errorf("the name must not hold / | . or blanks")
	}
	if n.PushEvery < 0 || n.PushEvery > 24*time.Hour {
		return fmt.Errorf("push_interval %s: use 0 (at once) to 24h", n.PushEvery)
	}
	if err := n.checkPace(c.Environment); err != nil {
		return err
	}
	if n.AllowHTTP && c.Environment == schemas.Production {
		return errors.New("allow_loopback is for the test environment only")
	}
	if n.Ebay != nil && !c.Tokens.Kept() {
		return errors.New("ebay: it needs tokens.key: the journal that keeps refunds from being made twice is kept with the tokens")
	}
	if n.Shopify != nil && n.Shopify.Rotates() && !c.Tokens.Kept() {
		return fmt.Errorf("shopify: auth %s needs tokens.key: a rotated token that is lost cannot be asked for again", n.Shopify.Auth)
	}
	if n.Amazon != nil && n.Amazon.RefreshToken == "" && !c.Tokens.Kept() {
		return errors.New("amazon: without refresh_token it needs tokens.key, to keep what the seller gives to `crossdock connect`")
	}
	if n.Amazon != nil && n.Modules.Has(connectors.ModuleFinance) && !c.Tokens.Kept() {
		return errors.New("amazon: with the module finance it needs tokens.key: the journal that keeps refunds from being made twice is kept with the tokens")
	}
	if n.WooCommerce != nil && n.WooCommerce.ConsumerKey == "" && !c.Tokens.Kept() {
		return errors.New("woocommerce: without consumer_key it needs tokens.key, to keep what the shop gives to `crossdock connect`")
	}
	type section struct {
		name string
		set  bool
		ok   func() error
	}
	sections := []section{
		{"shopify", n.Shopify != nil, func() error { return n.Shopify.Validate(c.Environment) }},
		{"woocommerce", n.WooCommerce != nil, func() error { return n.WooCommerce.Validate(c.Environment) }},
		{"magento", n.Magento != nil, func() error { return n.Magento.Validate(c.Environment) }},
		{"amazon", n.Amazon != nil, func() error { return n.Amazon.Validate(c.Environment) }},
		{"ebay", n.Ebay != nil, func() error { return n.Ebay.Validate(c.Environment) }},
		{"ecb", n.ECB != nil, func() error { return n.ECB.Validate(c.Environment) }},
		{"warehouse", n.Warehouse != nil, func() error { return n.Warehouse.Validate(c.Environment) }},
	}
	known := false
	for _, s := range sections {
		switch {
		case s.name == n.Connector:
			known = true
			if !s.set {
				return fmt.Errorf("the section %s is missing", s.name)
			}
			if err := s.ok(); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		case s.set:
			return fmt.Errorf("it has a section %s, but connector is %q", s.name, n.Connector)
		}
	}
	if !known {
		return fmt.Errorf("connector %q is not known: see `crossdock connectors`", n.Connector)
	}
	return nil
}

// checkPace: the limits of somebody else's platform are its own; they can be overruled against a
// simulator only. Shopify counts points, and tells its bucket with each answer.
func (n Connection) checkPace(env schemas.Environment) error {
	own := n.Connector == woocommerce.Name || n.Connector == magento.Name
	switch {
	case n.PerSecond == 0:
		return nil
	case n.PerSecond < 0.001 || n.PerSecond > 1e6:
		return fmt.Errorf("calls_per_second %g: use 0.001 to 1000000, or 0 for what is known of the platform", n.PerSecond)
	case n.Connector == shopify.Name:
		return errors.New("calls_per_second: Shopify tells its limits itself: remove it")
	case !own && env != schemas.Test:
		return fmt.Errorf("calls_per_second: the limits of %s are its own: remove it (a simulator in the test environment may have others)", n.Connector)
	}
	return nil
}
