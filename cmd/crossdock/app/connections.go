package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon"
	"github.com/helloword/crossdock/connectors/ebay"
	"github.com/helloword/crossdock/connectors/ecb"
	"github.com/helloword/crossdock/connectors/magento"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/connectors/warehouse"
	"github.com/helloword/crossdock/connectors/woocommerce"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/internal/kafka"
	xredis "github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/internal/tokens"
	"github.com/helloword/crossdock/schemas"
)

// connection is one opened account.
type connection struct {
	name string
	cfg  config.Connection
	*connectors.Connector
}

// openConnections opens what the configuration names. Nobody is called.
func (a *App) openConnections() error {
	store, err := a.tokens()
	if err != nil {
		return err
	}
	bucket := xredis.NewBucket(a.Redis, a.Scope.Key(""))
	for _, name := range a.Config.Names() {
		cfg := a.Config.Connections[name]
		limiter, err := Limiter(bucket, cfg, name, a.Log)
		if err != nil {
			return fmt.Errorf("connection %s: %w", name, err)
		}
		deps := connectors.Deps{
			Account: name, Modules: cfg.Modules,
			HTTP: httpx.NewClient(httpx.Config{
				AllowLoopback: cfg.AllowHTTP, UserAgent: "crossdock/" + a.Version,
			}),
			Log: a.Log.With("account", name), Now: time.Now, Tokens: store, Limiter: limiter,
		}
		var c *connectors.Connector
		switch cfg.Connector {
		case shopify.Name:
			c, err = shopify.New(*cfg.Shopify, a.Config.Environment, deps)
		case woocommerce.Name:
			c, err = woocommerce.New(*cfg.WooCommerce, a.Config.Environment, deps)
		case magento.Name:
			c, err = magento.New(*cfg.Magento, a.Config.Environment, deps)
		case amazon.Name:
			c, err = amazon.New(*cfg.Amazon, a.Config.Environment, deps)
		case ebay.Name:
			c, err = ebay.New(*cfg.Ebay, a.Config.Environment, deps)
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

// tokens opens the store of tokens: the topic in Kafka, sealed files when a folder is named, or
// memory when there is no key, which is enough for tokens that can be asked for again (the
// configuration refuses others then).
func (a *App) tokens() (connectors.TokenStore, error) {
	leases := xredis.Leases{Client: a.Redis, Owner: a.owner}
	prefix := a.Scope.Key("")
	t := a.Config.Tokens
	if !t.Kept() {
		return tokens.NewStore(&memoryTokens{values: make(map[string][]byte)}, leases, prefix, a.Log), nil
	}
	keys, err := a.tokenKeys()
	if err != nil {
		return nil, err
	}
	if t.Dir != "" {
		keeper, err := tokens.NewFiles(t.Dir, prefix, keys)
		if err != nil {
			return nil, fmt.Errorf("tokens: %w", err)
		}
		return tokens.NewStore(keeper, leases, prefix, a.Log), nil
	}
	keeper, err := a.tokenTopic(keys)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return tokens.NewStore(keeper, leases, prefix, a.Log), nil
}

func (a *App) tokenKeys() (tokens.Keys, error) {
	t := a.Config.Tokens
	previous := make([]tokens.Secret, len(t.PreviousKeys))
	for i, s := range t.PreviousKeys {
		previous[i] = s
	}
	keys, err := tokens.NewKeys(t.Key, previous...)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return keys, nil
}

// tokenTopic opens the tokens in Kafka, once.
func (a *App) tokenTopic(keys tokens.Keys) (*tokens.Topic, error) {
	if a.kept != nil {
		return a.kept, nil
	}
	follower := kafka.NewFollower(a.Config.KafkaConfig(), a.Scope, a.Log, schemas.Tokens)
	topic, err := tokens.NewTopic(tokens.TopicDeps{
		Log: follower, Publish: a.Producer, Redis: a.Redis, Prefix: a.Scope.Key(""), Scope: a.Scope.Key(""),
		Keys: keys, Logger: a.Log, Metrics: a.Registry,
	})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, follower.Close)
	a.kept = topic
	return topic, nil
}

// memoryTokens keeps tokens for as long as the process lives.
type memoryTokens struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (m *memoryTokens) Load(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[name], nil
}

func (m *memoryTokens) Save(_ context.Context, name string, value []byte, _ uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] = append([]byte(nil), value...)
	return nil
}
