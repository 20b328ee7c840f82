package fx

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// The model: any interleaving of valuables with the days of rates (which come in order, as
// the connector sends them, with repetitions), any cut into batches, crashes, a state that
// falls back: at rest every subject has the value of its newest version, nothing converted
// waits on a list, and the tables' topics say what the entries say.
func TestModel(t *testing.T) {
	dates := []string{"2024-03-21", "2024-03-22", "2024-03-25", "2024-03-26", "2024-03-27", "2024-03-28", "2024-04-02", "2024-04-03", "2024-04-04", "2024-04-05", "2024-04-08"}
	rapid.Check(t, func(rt *rapid.T) {
		rule := rapid.SampledFrom(rules[:]).Draw(rt, "rule")
		h := start(t, Config{Rule: rule})
		closed := rapid.SampledFrom(append([]string{"none"}, dates...)).Draw(rt, "closed")
		var published []string
		for _, d := range dates {
			if d != closed {
				published = append(published, d)
			}
		}
		figures := func(d string) []string {
			i := slices.Index(dates, d)
			f := []string{fmt.Sprintf("GBP 0.%d", 85+i), fmt.Sprintf("JPY 16%d.5", i)}
			if i%3 == 0 {
				f = append(f, "TRY 35.1")
			}
			return f
		}
		type newest struct {
			version int64
			in      *event.Valuable
		}
		want := map[string]newest{}
		next, version := 0, int64(0)
		var snapshot any
		consumed := func(outs []stream.Output, err error) {
			if err != nil {
				t.Fatal(err)
			}
			h.loop(outs)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"valuable": func(rt *rapid.T) {
				subject := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "subject")
				version++
				v := version
				if old, ok := want[subject]; ok && rapid.Bool().Draw(rt, "stale") {
					v = old.version - int64(rapid.IntRange(0, 1).Draw(rt, "by"))
				}
				date := time.UnixMilli(ms("2024-03-22")).UTC().AddDate(0, 0, rapid.IntRange(0, 20).Draw(rt, "day")).Format(time.DateOnly)
				in := amount(subject, v, rapid.Int64Range(-100_000, 100_000).Draw(rt, "minor"), rapid.SampledFrom([]string{"EUR", "GBP", "JPY", "TRY"}).Draw(rt, "currency"), date)
				if old, ok := want[subject]; ok && old.version == v {
					in.Input = &event.FxInput_Valuable{Valuable: old.in} // one version has one content
				}
				if old, ok := want[subject]; !ok || old.version < v {
					want[subject] = newest{v, in.GetValuable()}
				}
				h.send(in)
			},
			"rates": func(rt *rapid.T) {
				if next < len(published) {
					h.send(day(published[next], figures(published[next])...))
					next++
				}
			},
			"again": func(rt *rapid.T) {
				if next > 0 {
					d := published[rapid.IntRange(0, next-1).Draw(rt, "which")]
					h.send(day(d, figures(d)...))
				}
			},
			"step": func(rt *rapid.T) {
				crash := rapid.SampledFrom([]stream.Crash{stream.NoCrash, stream.NoCrash, stream.AfterApply, stream.AfterEmit}).Draw(rt, "crash")
				consumed(h.Step(rapid.IntRange(1, 5).Draw(rt, "n"), crash))
			},
			"snapshot": func(*rapid.T) { snapshot = h.Snapshot() },
			"fall back": func(*rapid.T) {
				if snapshot != nil {
					h.Restore(snapshot)
					h.Look()
				}
			},
		})
		for ; next < len(published); next++ {
			h.send(day(published[next], figures(published[next])...))
		}
		h.Look()
		h.drain()

		waiting := 0
		for subject, n := range want {
			v := h.valuation(subject)
			if v == nil || v.Version.Number != n.version || !v.Amount.EqualVT(n.in.Amount) || v.OccurredMs != n.in.OccurredMs {
				rt.Fatalf("%s: %v, want version %d of %v", subject, v, n.version, n.in)
			}
			rateDate := modelDay(rule, published, time.UnixMilli(n.in.OccurredMs).UTC().Format(time.DateOnly))
			quoted := rateDate != "" && (n.in.Amount.Currency != "TRY" || slices.Index(dates, rateDate)%3 == 0)
			switch {
			case n.in.Amount.Currency == "EUR":
				if v.Waiting || v.Reporting.Minor != n.in.Amount.Minor {
					rt.Fatalf("%s: %v", subject, v)
				}
			case !quoted:
				waiting++
				if !v.Waiting {
					rt.Fatalf("%s: %v, want it to wait (rates of %q)", subject, v, rateDate)
				}
			case v.Waiting || v.RateDate != rateDate:
				rt.Fatalf("%s of %s: %v, want the rates of %s", subject, time.UnixMilli(n.in.OccurredMs).UTC().Format(time.DateOnly), v, rateDate)
			}
		}
		h.listed()
		for subject, n := range want {
			if v := h.valuation(subject); !v.Waiting && n.in.Amount.Currency != "EUR" && h.isListed(n.in) {
				rt.Fatalf("%s was converted and is still on a list", subject)
			}
		}
		h.sameAsTopics(rt)
	})
}

func (h *harness) isListed(v *event.Valuable) bool {
	found := false
	h.Entries(h.room.waitings, func(_ string, m stream.Message) {
		for _, w := range m.(*event.FxWaiting).Valuables {
			found = found || w.EqualVT(v)
		}
	})
	return found
}

// sameAsTopics: what a rebuild would read, the highest version of each key, is the state.
func (h *harness) sameAsTopics(t *rapid.T) {
	type kept struct {
		version stream.Version
		value   []byte
	}
	topics := map[string]map[string]kept{}
	for _, o := range h.Emitted {
		var version stream.Version
		for _, x := range o.Headers {
			if x.Key == schemas.HeaderVersion {
				version, _ = stream.ParseVersion(string(x.Value))
			}
		}
		value := o.Bytes
		if o.Value != nil {
			value, _ = o.Value.MarshalVTStrict()
		}
		if topics[o.Topic.Name] == nil {
			topics[o.Topic.Name] = map[string]kept{}
		}
		if old, ok := topics[o.Topic.Name][string(o.Key)]; !ok || !version.Before(old.version) {
			topics[o.Topic.Name][string(o.Key)] = kept{version, value}
		}
	}
	for _, table := range h.room.Tables() {
		n := 0
		h.Entries(table, func(id string, m stream.Message) {
			n++
			value, _ := m.MarshalVTStrict()
			if got := topics[table.Topic.Name][id].value; string(got) != string(value) {
				t.Fatalf("%s, key %s: the topic says %x, the state %x", table.Topic.Name, id, got, value)
			}
		})
		if n != len(topics[table.Topic.Name]) {
			t.Fatalf("%s: %d keys in the topic, %d entries", table.Topic.Name, len(topics[table.Topic.Name]), n)
		}
	}
}

// modelDay is the naive rule over the published days of late March and early April 2024,
// whose only TARGET holidays are 2024-03-29 and 2024-04-01. "" = it waits.
func modelDay(rule Rule, published []string, date string) string {
	open := func(d time.Time) bool {
		s := d.Format(time.DateOnly)
		return d.Weekday() != time.Saturday && d.Weekday() != time.Sunday && s != "2024-03-29" && s != "2024-04-01"
	}
	d, _ := time.Parse(time.DateOnly, date)
	step := -1
	switch rule {
	case PreviousDay:
		d = d.AddDate(0, 0, -1)
	case MonthEnd:
		d = time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	case MonthEndOrNext:
		d, step = time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC), 1
	case QuarterEndOrNext:
		d, step = time.Date(d.Year(), (d.Month()+2)/3*3+1, 0, 0, 0, 0, 0, time.UTC), 1
	}
	for !open(d) {
		d = d.AddDate(0, 0, step)
	}
	wanted := d.Format(time.DateOnly)
	if slices.Contains(published, wanted) {
		return wanted
	}
	last := d.AddDate(0, 0, reach).Format(time.DateOnly)
	first := d.AddDate(0, 0, -reach).Format(time.DateOnly)
	before, after := "", ""
	for _, p := range published {
		if p >= first && p < wanted {
			before = p
		}
		if p > wanted && p <= last && after == "" {
			after = p
		}
	}
	switch {
	case after == "":
		return ""
	case step > 0:
		return after
	}
	return before
}
