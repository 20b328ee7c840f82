// Package ecb reads the euro foreign exchange reference rates of the European Central Bank:
// what each of some thirty currencies cost in euro, once per TARGET day, about 16:00
// Frankfurt time.
//
// Comes in: two files, the latest day as XML and the whole history since 1999 as a zipped
// CSV. Goes out: one raw record per day, the object being its date, and from it one RateDay.
// Keeps: nothing but the cursor, which remembers a hash of each day's figures, so that a day
// which the bank corrected is emitted again and all others are not. After a crash the days
// since the last stored cursor are emitted again.
//
// Formats: "ecb/daily-xml" is the daily file untouched; "ecb/hist-day" is the header line of
// the history file and the day's own line, both untouched. A day is the same RateDay whichever
// of the two it came by: the files differ in trailing zeros, in the order of currencies and
// in columns without figures.
//
// https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates
package ecb

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

// Name of the connector, and the source of its RateDays.
const Name = "ecb"

// DefaultBaseURL is where the bank publishes.
const DefaultBaseURL = "https://www.ecb.europa.eu/stats/eurofxref/"

// Formats of raw records.
const (
	FormatDaily   = "ecb/daily-xml"
	FormatHistory = "ecb/hist-day"
)

// The two files below the base address.
const (
	dailyFile   = "eurofxref-daily.xml"
	historyFile = "eurofxref-hist.zip"
)

// Config is a connection to the bank's files, or to a mirror of them.
type Config struct {
	// BaseURL is the folder of the files; empty = DefaultBaseURL.
	BaseURL string `yaml:"base_url" json:"base_url,omitempty"`
	// History says where the first poll begins: "all" (the default) with 1999, "none" with the
	// latest day.
	History string `yaml:"history" json:"history,omitempty"`
}

// Validate reports what is wrong with the configuration. The rates are public and only
// read, so the bank's own address is allowed in the test environment as well; a simulator
// on this machine is not allowed in production.
func (c Config) Validate(env schemas.Environment) error {
	u, err := c.base()
	if err != nil {
		return err
	}
	local := isLoopback(u.Hostname())
	switch {
	case env == schemas.Production && local:
		return fmt.Errorf("base_url: %s is this machine, which production does not read rates from: leave base_url out", u.Host)
	case u.Scheme != "https" && !local:
		return fmt.Errorf("base_url: %s must begin with https://", u.Host)
	}
	switch c.History {
	case "", "all", "none":
		return nil
	}
	return fmt.Errorf("history: %q is not known: use all or none", c.History)
}

func (c Config) base() (*url.URL, error) {
	text := c.BaseURL
	if text == "" {
		text = DefaultBaseURL
	}
	if !strings.HasSuffix(text, "/") {
		text += "/"
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("base_url: not the address of a folder: write https://host/folder/ without user, query and fragment")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// New opens a connection. It calls nobody.
func New(cfg Config, deps connectors.Deps) (*connectors.Connector, error) {
	base, err := cfg.base()
	if err != nil {
		return nil, fmt.Errorf("ecb %s: %w", deps.Account, err)
	}
	if deps.HTTP == nil {
		return nil, fmt.Errorf("ecb %s: no HTTP client was handed in", deps.Account)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	c := &client{base: base, http: deps.HTTP, limiter: deps.Limiter}
	return &connectors.Connector{
		Name:      Name,
		Kind:      connectors.Rates,
		Check:     &checker{client: c},
		Poll:      map[connectors.Subject]connectors.Poller{connectors.RateDays: &poller{client: c, history: cfg.History != "none", log: deps.Log}},
		Translate: translator{},
	}, nil
}

// client downloads the files.
type client struct {
	base    *url.URL
	http    *http.Client
	limiter connectors.Limiter
}
