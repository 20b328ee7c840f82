package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

// A first configuration is put together from a few answers, and read by Parse before anybody
// sees it: what `crossdock init` writes is valid. It holds no secret, only the names of
// environment variables for them.

// StarterModules are what can flow between a channel and crossdock.
func StarterModules() (names []string) {
	for _, m := range connectors.AllModules() {
		names = append(names, string(m))
	}
	return names
}

// Starter is what a first configuration is made of.
type Starter struct {
	Tenant      string
	Environment schemas.Environment
	// Channels, at least one of StarterChannels; Modules of StarterModules, none = all.
	Channels, Modules []string
	// Answers by "channel.key"; what is missing takes the question's Default.
	Answers map[string]string
}

// Question is one thing to know of a channel.
type Question struct{ Key, Text, Default string }

// Variable is an environment variable that has to be set.
type Variable struct{ Name, What string }

// starterField is one line of a channel's section.
type starterField struct {
	key string
	// preset is written when nobody answers; ask is the question; list makes it a list of one.
	preset, ask string
	list        bool
	// hidden says what the variable is that the line refers to.
	hidden string
	// live: a connection of the test environment does without it.
	live bool
}

type starterChannel struct {
	name, title, port string
	fields            []starterField
	notes             []string
}

func starterChannels() []starterChannel {
	return []starterChannel{
		{"shopify", "Shopify", "9400", []starterField{
			{key: "shop", preset: "your-shop.myshopify.com", ask: "the shop's permanent domain"},
			{key: "client_id", preset: "your-client-id", ask: "client id of your app (Dev Dashboard)"},
			{key: "client_secret", hidden: "client secret of your app; it also signs webhooks"},
			{key: "currency", preset: "EUR", ask: "the shop's currency"},
		}, []string{"auth: client_credentials is for an app of your own organisation; see the README for the others."}},
		{"woocommerce", "WooCommerce", "9401", []starterField{
			{key: "shop", preset: "https://shop.example.com", ask: "the shop's Site Address", live: true},
			{key: "consumer_key", hidden: "REST API key (ck_…) with permission read/write"},
			{key: "consumer_secret", hidden: "its secret (cs_…)"},
			{key: "webhook_secret", hidden: "any long random text: it signs the shop's webhooks"},
			{key: "currency", preset: "EUR", ask: "the shop's currency"},
		}, nil},
		{"magento", "Magento 2 / Adobe Commerce", "9402", []starterField{
			{key: "base_url", preset: "https://shop.example.com", ask: "the shop's address"},
			{key: "consumer_key", hidden: "consumer key of the integration (System > Integrations)"},
			{key: "consumer_secret", hidden: "its consumer secret"},
			{key: "access_token", hidden: "its access token"},
			{key: "access_token_secret", hidden: "its access token secret"},
			{key: "currency", preset: "EUR", ask: "the shop's base currency"},
		}, nil},
		{"amazon", "Amazon", "9403", []starterField{
			{key: "seller_id", preset: "A1EXAMPLE000", ask: "the seller's Merchant Token (Seller Central, Account Info)"},
			{key: "region", preset: "eu", ask: "region: na, eu or fe"},
			{key: "marketplaces", preset: "A1F83G8C2ARO7P", ask: "id of the main marketplace (A1F83G8C2ARO7P is Amazon.co.uk)", list: true},
			{key: "client_id", preset: "amzn1.application-oa2-client.example", ask: "LWA client id of your application"},
			{key: "client_secret", hidden: "LWA client secret; it ends 180 days after it was made"},
			{key: "application_id", preset: "amzn1.sp.solution.example", ask: "id of your application"},
			{key: "seller_central", preset: "https://sellercentral.amazon.co.uk", ask: "where the seller logs in"},
		}, []string{"`crossdock connect amazon` asks the seller; or set refresh_token (env:NAME or file:PATH).", "queue_url names an SQS queue for notifications: orders then come within seconds."}},
		{"ebay", "eBay", "9404", []starterField{
			{key: "marketplace", preset: "EBAY_GB", ask: "the site that the account sells on first"},
			{key: "client_id", preset: "your-app-id", ask: "App ID of the application's keyset"},
			{key: "client_secret", hidden: "Cert ID of the same keyset"},
			{key: "ru_name", preset: "your-RuName", ask: "RuName of the application's redirect"},
		}, []string{"`crossdock connect ebay` asks the seller; or set refresh_token (env:NAME or file:PATH).", "endpoint, verification_token and alert_email switch on notifications, which eBay demands of every keyset."}},
	}
}

// StarterChannels are the channels that a configuration can begin with.
func StarterChannels() (names []string) {
	for _, c := range starterChannels() {
		names = append(names, c.name)
	}
	return names
}

// chosen are the channels that were asked for, in the order of the list.
func (s Starter) chosen() (cs []starterChannel, err error) {
	for _, n := range s.Channels {
		if !slices.Contains(StarterChannels(), n) {
			return nil, fmt.Errorf("channel %q is not known: use %s", n, strings.Join(StarterChannels(), ", "))
		}
	}
	for _, c := range starterChannels() {
		if slices.Contains(s.Channels, c.name) {
			cs = append(cs, c)
		}
	}
	if len(cs) == 0 {
		return nil, fmt.Errorf("name at least one channel: %s", strings.Join(StarterChannels(), ", "))
	}
	return cs, nil
}

// Asks are the chosen channels whose owner is asked by `crossdock connect`: their sections name
// no token.
func (s Starter) Asks() (names []string) {
	for _, n := range []string{"amazon", "ebay"} {
		if slices.Contains(s.Channels, n) {
			names = append(names, n)
		}
	}
	return names
}

// Questions about the chosen channels.
func (s Starter) Questions() ([]Question, error) {
	cs, err := s.chosen()
	if err != nil {
		return nil, err
	}
	var qs []Question
	for _, c := range cs {
		for _, f := range c.fields {
			if f.ask != "" && !(f.live && s.Environment == schemas.Test) {
				qs = append(qs, Question{c.name + "." + f.key, c.title + ", " + f.ask, f.preset})
			}
		}
	}
	return qs, nil
}

// Write puts the file together. Its error names the answer that is wrong.
func (s Starter) Write() (text string, vars []Variable, err error) {
	cs, err := s.chosen()
	if err != nil {
		return "", nil, err
	}
	modules := s.Modules
	if len(modules) == 0 {
		modules = StarterModules()
	}
	for _, m := range modules {
		if !slices.Contains(StarterModules(), m) {
			return "", nil, fmt.Errorf("module %q is not known: use %s", m, strings.Join(StarterModules(), ", "))
		}
	}
	var b strings.Builder
	vars = s.head(&b)
	for _, c := range cs {
		vars = append(vars, s.channel(&b, c, modules)...)
	}
	if slices.Contains(modules, string(connectors.ModuleInventory)) {
		// Without it every level is unknown, and nothing is ever shown anywhere.
		b.WriteString("  depot:                     # your own warehouse: it tells what is on hand (`crossdock warehouse send`)\n    connector: warehouse\n    warehouse: {secret: env:DEPOT_SECRET}\n")
		vars = append(vars, Variable{"DEPOT_SECRET", "any long random text: it signs what your warehouse tells (openssl rand -hex 32)"})
	}
	b.WriteString("  rates:                     # the ECB's reference rates, for amounts in the reporting currency\n    connector: ecb\n    ecb: {}\n")
	text = b.String()
	if _, err := Parse("the new configuration", []byte(text)); err != nil {
		return "", nil, err
	}
	return text, vars, nil
}

func (s Starter) head(b *strings.Builder) []Variable {
	replicas, inSync := 3, 2
	if s.Environment == schemas.Test {
		replicas, inSync = 1, 1
	}
	fmt.Fprintf(b, `# crossdock.yaml, as `+"`crossdock init`"+` wrote it. Secrets stand here only by reference (env:NAME or
# file:PATH). `+"`crossdock config example`"+` shows every section, `+"`crossdock config schema`"+` every key;
# `+"`crossdock config validate`"+` tries this file, `+"`crossdock check`"+` asks every engine and connection.
tenant: %s                   # part of every topic, group, key and database
environment: %s

kafka:
  brokers: ["127.0.0.1:9092"]
  replicas: %d
  min_in_sync: %d
  partitions: {wide: 12, narrow: 4}   # cannot change once there is state
redis:
  addrs: ["127.0.0.1:6379"]
clickhouse:
  addrs: ["127.0.0.1:8123"]
  buyer_key: env:CROSSDOCK_BUYER_KEY  # hashes buyers' ids before they reach the tables

webhook:
  listen: "127.0.0.1:8080"
#  public_url: https://hooks.example.com   # where platforms reach it; without it everything is polled
poll:
  interval: 15m

tokens:                      # what platforms give once is kept sealed in Kafka
  key: env:CROSSDOCK_TOKEN_KEY

connections:
`, strconv.Quote(s.Tenant), s.Environment, replicas, inSync)
	return []Variable{
		{"CROSSDOCK_BUYER_KEY", "any long random text; it must not change later (openssl rand -base64 32)"},
		{"CROSSDOCK_TOKEN_KEY", "32 bytes in base64 (openssl rand -base64 32)"},
	}
}

func (s Starter) channel(b *strings.Builder, c starterChannel, modules []string) (vars []Variable) {
	fmt.Fprintf(b, "  %s:                     # %s; credentials: connectors/%s/README.md\n    connector: %s\n", c.name, c.title, c.name, c.name)
	fmt.Fprintf(b, "    modules: [%s]\n", strings.Join(modules, ", "))
	if s.Environment == schemas.Test {
		b.WriteString("    allow_loopback: true\n")
	}
	fmt.Fprintf(b, "    %s:\n", c.name)
	for _, f := range c.fields {
		if f.live && s.Environment == schemas.Test {
			continue
		}
		if f.hidden != "" {
			name := strings.ToUpper(c.name + "_" + f.key)
			fmt.Fprintf(b, "      %s: env:%s\n", f.key, name)
			vars = append(vars, Variable{name, c.title + ": " + f.hidden})
			continue
		}
		value, answered := s.Answers[c.name+"."+f.key]
		mark := ""
		if !answered || value == "" {
			value = f.preset
			mark = "   # " + f.ask
		}
		value = strconv.Quote(value)
		if f.list {
			value = "[" + value + "]"
		}
		fmt.Fprintf(b, "      %s: %s%s\n", f.key, value, mark)
	}
	if s.Environment == schemas.Test {
		fmt.Fprintf(b, "      test_base_url: \"http://127.0.0.1:%s\"   # what `crossdock simulate %s` prints, or another on this machine\n", c.port, c.name)
	}
	for _, n := range c.notes {
		fmt.Fprintf(b, "      # %s\n", n)
	}
	return vars
}
