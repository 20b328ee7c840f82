package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/ecb"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/connectors/warehouse"
	"github.com/helloword/crossdock/internal/httpx"
	xredis "github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/sinks/push"
)

// connection is one opened account.
type connection struct {
	name string
	cfg  config.Connection
	*connectors.Connector
}

// has reports whether a module flows for the connection.
func (c *connection) has(s connectors.Subject) bool {
	if len(c.cfg.Modules) == 0 {
		return true
	}
	for _, m := range c.cfg.Modules {
		if m == s {
			return true
		}
	}
	return false
}

// quota that is assumed of a platform before its first answer: Shopify's smallest bucket.
// https://shopify.dev/docs/api/usage/limits
var quota = xredis.Quota{Capacity: 1000, PerSecond: 50}

// openConnections opens what the configuration names. Nobody is called.
func (a *App) openConnections() error {
	tokens, err := a.tokens()
	if err != nil {
		return err
	}
	bucket := xredis.NewBucket(a.Redis, a.Scope.Key(""))
	for _, name := range a.Config.Names() {
		cfg := a.Config.Connections[name]
		limiter, err := push.NewLimiter(bucket, name, quota, nil, a.Log)
		if err != nil {
			return fmt.Errorf("connection %s: %w", name, err)
		}
		deps := connectors.Deps{
			Account: name,
			HTTP: httpx.NewClient(httpx.Config{
				AllowLoopback: cfg.AllowHTTP, UserAgent: "crossdock/" + a.Version,
			}),
			Log: a.Log.With("account", name), Now: time.Now, Tokens: tokens, Limiter: limiter,
		}
		var c *connectors.Connector
		switch cfg.Connector {
		case shopify.Name:
			c, err = shopify.New(*cfg.Shopify, a.Config.Environment, deps)
		case ecb.Name:
			c, err = ecb.New(*cfg.ECB, deps)
		case warehouse.Name:
			c, err = warehouse.New(*cfg.Warehouse, a.Config.Environment, deps)
		default:
			err = fmt.Errorf("connector %q is not known", cfg.Connector)
		}
		if err != nil {
			return fmt.Errorf("connection %s: %w", name, err)
		}
		a.connections = append(a.connections, &connection{name, cfg, c})
	}
	return nil
}

// tokens opens the store of rotating tokens, when there is one.
func (a *App) tokens() (connectors.TokenStore, error) {
	t := a.Config.Tokens
	if t.Dir == "" {
		return nil, nil
	}
	keeper, err := xredis.NewFileTokens(t.Dir, strings.TrimSuffix(a.Scope.Key(""), "."), t.Key)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return xredis.NewTokenStore(keeper, xredis.Leases{Client: a.Redis, Owner: a.owner}, a.Scope.Key(""), a.Log), nil
}
