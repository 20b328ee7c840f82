// Package fx is the room that gives amounts their value in the reporting currency.
//
// Comes in (topic fx.in): valuables, which are amounts with the time they belong to, and
// days of rates, which every partition gets. Goes out: fx.valuations, the newest value of
// each subject with everything needed to repeat the arithmetic (source, day and both
// published figures), and fx.rates, the days as this room knows them. Keeps: those two
// tables, and fx.waiting, which remembers what waits for rates. A crash costs a repetition:
// everything sent out is absolute, and what waits is found again in the table.
//
// # Which day's rates
//
// By default the last TARGET day strictly before the event's UTC date, so that the rate of
// an order is known when it is placed; see Rule for the others. If nothing was published on
// that day although the calendar says so, and a later day was, the day was an unforeseen
// closing and the last published day before it counts (the next one, for the rules that look
// ahead). That holds within ten days to either side: a longer gap is no closing but a source
// that is missing, and then nothing is converted.
//
// # Waiting
//
// Rates that are not published yet, and a currency that was not quoted on its day, park the
// valuable: its valuation says waiting and why. It is released by itself when a day of rates
// arrives that may change the answer. No rate is ever guessed, interpolated or taken from
// another day than the rule's.
//
// # Decisions stay
//
// A decision is stored at first application. When the bank corrects a day, valuables that
// come later, or still wait, are converted with the corrected figures; those converted
// before keep the figures that stand in their valuation. A newer version of a subject is a
// new decision. A stale version changes nothing.
//
// # Arithmetic
//
// amount × (reporting figure ÷ amount's figure), both for one unit of the source's base
// currency, in 128-bit integers, rounded once, half to even, to the reporting currency's ISO
// 4217 minor unit. Amounts come in ISO 4217 minor units too (money.ISO), because a valuable
// names no provider.
//
// The rule, the source and the reporting currency are part of what the room has decided:
// after changing them, replay it from the beginning.
package fx

import (
	"fmt"
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Config of the room. The zero value is the default.
type Config struct {
	// Reporting currency, ISO 4217; default EUR.
	Reporting string `yaml:"reporting_currency" json:"reporting_currency,omitempty"`
	// Source of the rates that count; default ecb.
	Source string `yaml:"source" json:"source,omitempty"`
	// Rule which day's rates count; default previous-day.
	Rule Rule `yaml:"rule" json:"rule,omitempty"`
}

// Validate reports what is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	if _, ok := money.Exponent("", c.Reporting); !ok {
		return fmt.Errorf("reporting_currency: %q is no currency of ISO 4217: write three letters, e.g. EUR", c.Reporting)
	}
	if strings.ContainsAny(c.Source, "/ ") {
		return fmt.Errorf("source: %q: use the name of a rate source, e.g. ecb", c.Source)
	}
	if !c.Rule.known() {
		return fmt.Errorf("rule: %q is not known: use one of %s", c.Rule, rulesText())
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Reporting == "" {
		c.Reporting = "EUR"
	}
	if c.Source == "" {
		c.Source = "ecb"
	}
	if c.Rule == "" {
		c.Rule = PreviousDay
	}
	return c
}

// Room is the fx room.
type Room struct {
	cfg                         Config
	exponent                    int // of the reporting currency
	rates, valuations, waitings *stream.Table
}

// New makes the room.
func New(cfg Config) (*Room, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("fx: %w", err)
	}
	exponent, _ := money.Exponent("", cfg.Reporting)
	return &Room{
		cfg: cfg, exponent: exponent,
		rates:      &stream.Table{Name: "rates", Topic: schemas.RateDays, New: func() stream.Message { return new(event.RateDay) }},
		valuations: &stream.Table{Name: "valuations", Topic: schemas.Valuations, New: func() stream.Message { return new(event.Valuation) }},
		waitings:   &stream.Table{Name: "waiting", Topic: schemas.FxWaiting, New: func() stream.Message { return new(event.FxWaiting) }},
	}, nil
}

// Name is the stage's name.
func (*Room) Name() string { return "fx" }

// Inputs is fx.in.
func (*Room) Inputs() []schemas.Topic { return []schemas.Topic{schemas.FxIn} }

// Tables is all that the room keeps.
func (r *Room) Tables() []*stream.Table { return []*stream.Table{r.rates, r.valuations, r.waitings} }

// Valuations is the table of values; its entries' ids are subjects.
func (r *Room) Valuations() *stream.Table { return r.valuations }

// Rates is the table of days; for its entries' ids see RateID.
func (r *Room) Rates() *stream.Table { return r.rates }
