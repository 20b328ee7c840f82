// Package warehouse is the seller's own warehouse or back office: it tells us by signed
// webhooks what happened to stock that no order explains, what came back of orders whose
// platforms do not tell of it, and what it wants done at a sales channel. The wire format is our
// own and stands in README.md.
//
// In: one JSON entry, or a list of them: openings, receipts, write-offs, corrections, returns of
// an order and returns that match none; requests for prices, shipments, cancellations and
// refunds. Out: event.Adjustment, event.Refund for the order of another connection,
// event.UnmatchedReturn and event.Command. It keeps nothing; an entry that is sent again has the
// same id and is recognised by it.
package warehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

// Name of the connector.
const Name = "warehouse"

// Config of one connection. There is no address in it: the warehouse calls us.
type Config struct {
	Secret         connectors.Secret `yaml:"secret" json:"secret" doc:"Reference to the secret that signs the calls: env:NAME or file:PATH. At least 16 characters."`
	PreviousSecret connectors.Secret `yaml:"previous_secret,omitempty" json:"previous_secret,omitempty" doc:"The secret before a rotation: calls signed with it are still taken."`
	ReplayWindow   time.Duration     `yaml:"replay_window,omitempty" json:"replay_window,omitempty" doc:"How old a signature may be; default 5m."`
}

// DefaultConfig is what a setting is when it is not given.
func DefaultConfig() Config { return Config{ReplayWindow: 5 * time.Minute} }

// Validate reports everything that is wrong with the configuration. Both environments may use
// any secret: it is the seller's own system in either.
func (c Config) Validate(schemas.Environment) error {
	var errs []error
	if err := c.Secret.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("secret: %w", err))
	}
	if c.PreviousSecret != "" {
		if err := c.PreviousSecret.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("previous_secret: %w", err))
		}
	}
	if c.ReplayWindow < 0 || c.ReplayWindow > time.Hour {
		errs = append(errs, fmt.Errorf("replay_window: %s: use at most 1h", c.ReplayWindow))
	}
	return errors.Join(errs...)
}

// New opens a connection. It is inert: no secret is read before the first use.
func New(cfg Config, env schemas.Environment, deps connectors.Deps) (*connectors.Connector, error) {
	if deps.Account == "" {
		return nil, errors.New("warehouse: the connection has no account")
	}
	if err := cfg.Validate(env); err != nil {
		return nil, fmt.Errorf("warehouse connection %s: %w", deps.Account, err)
	}
	cfg.ReplayWindow = cmp.Or(cfg.ReplayWindow, DefaultConfig().ReplayWindow)
	return &connectors.Connector{
		Name:      Name,
		Kind:      connectors.Warehouse,
		Check:     checker{cfg},
		Receive:   receiver{cfg},
		Translate: translator{},
	}, nil
}

// minSecret is the shortest secret that is taken: shorter ones can be guessed off line from
// one signed call.
const minSecret = 16

// checker looks at the secrets; there is nobody to ask.
type checker struct{ cfg Config }

func (c checker) Check(context.Context) ([]connectors.CheckResult, error) {
	current, err := c.cfg.Secret.Resolve()
	results := []connectors.CheckResult{judge("secret", current, err)}
	if c.cfg.PreviousSecret == "" {
		return results, nil
	}
	previous, err := c.cfg.PreviousSecret.Resolve()
	r := judge("previous_secret", previous, err)
	if r.OK && previous == current {
		r.OK, r.Detail, r.Advice = false, "it is the same as secret", "remove previous_secret, or give the secret from before the rotation"
	}
	return append(results, r), nil
}

func judge(subject, secret string, err error) connectors.CheckResult {
	r := connectors.CheckResult{Subject: subject}
	switch {
	case err != nil:
		r.Detail, r.Advice = err.Error(), "set it to the secret that the warehouse signs with"
	case len(secret) < minSecret:
		r.Detail, r.Advice = fmt.Sprintf("it has fewer than %d characters", minSecret), "make a new one: openssl rand -hex 32"
	default:
		r.OK, r.Detail = true, "can be read"
	}
	return r
}
