// Package connectortest is the suite that every connector must pass.
//
// In: recorded deliveries and records, and worlds (a simulator with handles) in which a
// poller and a pusher can be tried. Out: test failures that name the promise of package
// connectors that was broken. It keeps golden files below testdata, which -update writes
// anew. For a connector's own tests it has what one is handed (deps.go). Its own tests run it over toy connectors, of which each breaks one promise: a check
// that lets its toy pass is no check.
package connectortest

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// Suite is what is known of one connector. Parts that are nil are for what it cannot do;
// a part that is missing for something it can do is a failure.
type Suite struct {
	// Connector under test, opened with everything handed in.
	Connector *connectors.Connector
	// Can is what Capabilities must say, in its order.
	Can []string
	// Deliveries are authentic webhook calls.
	Deliveries []Delivery
	// Signatures are the headers that authenticate: a change of any bit of them is refused.
	Signatures []string
	// Records are raw records beyond those of the deliveries, such as the poller's.
	Records []Record
	// Golden is the folder of golden files; empty = "testdata".
	Golden string
	// Polls are worlds for pollers.
	Polls []PollWorld
	// Push is a world for the stock pusher.
	Push *PushWorld
}

// Delivery is one recorded webhook call.
type Delivery struct {
	Name     string
	Delivery connectors.Delivery
	// Silent: authentic, and says nothing that needs a record.
	Silent bool
}

// Record is one raw record with a name for its golden file.
type Record struct {
	Name   string
	Record connectors.Record
}

var update = flag.Bool("update", false, "write the golden files of connectors anew")

// Run checks everything.
func Run(t *testing.T, s Suite) {
	t.Helper()
	run(running{t}, s)
}

// reporter is the part of *testing.T that checks use, so that the suite itself can be
// tested.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Run(name string, check func(reporter))
}

type running struct{ *testing.T }

func (r running) Run(name string, check func(reporter)) {
	r.T.Run(name, func(t *testing.T) { check(running{t}) })
}

func run(r reporter, s Suite) {
	r.Helper()
	if s.Golden == "" {
		s.Golden = "testdata"
	}
	r.Run("capabilities", func(r reporter) { capabilities(r, s) })
	records := s.Records
	for _, d := range s.Deliveries {
		r.Run("delivery/"+d.Name, func(r reporter) {
			for i, raw := range accepted(r, s, d) {
				name := d.Name
				if i > 0 {
					name = fmt.Sprintf("%s-%d", d.Name, i+1)
				}
				records = append(records, Record{name, connectors.Record{
					Subject: raw.Subject, Account: "golden", Object: raw.Object, Format: raw.Format, Body: raw.Body, SourceTime: raw.SourceTime,
				}})
			}
			refused(r, s, d)
		})
	}
	for _, rec := range records {
		r.Run("translate/"+rec.Name, func(r reporter) {
			if s.Connector.Translate == nil {
				r.Errorf("the connector has records and no Translate")
				return
			}
			pure(r, s, rec)
			truncated(r, s, rec)
			golden(r, s, rec)
		})
	}
	for _, w := range s.Polls {
		r.Run("poll/"+string(w.Subject), func(r reporter) { poll(r, s, w) })
	}
	if s.Push != nil {
		r.Run("push", func(r reporter) { push(r, s) })
	}
}

func capabilities(r reporter, s Suite) {
	c := s.Connector
	if c.Name == "" {
		r.Errorf("the connector has no name")
	}
	if kinds := []connectors.Kind{connectors.Channel, connectors.Warehouse, connectors.Carrier, connectors.Gateway, connectors.Rates}; !slices.Contains(kinds, c.Kind) {
		r.Errorf("kind %q is none of %v", c.Kind, kinds)
	}
	if got := c.Capabilities(); !slices.Equal(got, s.Can) {
		r.Errorf("capabilities %v, want %v", got, s.Can)
	}
	for subject, p := range c.Poll {
		if p == nil {
			r.Errorf("the poller of %s is nil: leave the subject out", subject)
		}
	}
	if (c.Receive != nil || len(c.Poll) > 0) && c.Translate == nil {
		r.Errorf("it brings records and cannot translate them")
	}
	// What it can do must be shown here.
	if c.Receive != nil && len(s.Deliveries) == 0 {
		r.Errorf("it receives webhooks, and the suite has no delivery")
	}
	if c.Receive != nil && len(s.Signatures) == 0 {
		r.Errorf("it receives webhooks, and the suite names no signature header")
	}
	if c.Stock != nil && s.Push == nil {
		r.Errorf("it pushes stock, and the suite has no world for it")
	}
	for subject := range c.Poll {
		if !slices.ContainsFunc(s.Polls, func(w PollWorld) bool { return w.Subject == subject }) {
			r.Errorf("it polls %s, and the suite has no world for it", subject)
		}
	}
}
