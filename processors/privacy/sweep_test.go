package privacy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

const month = 30 * 24 * time.Hour

func (w *world) asked(connector, account, id string, kind event.PrivacyKind, every bool, orders []string, buyers ...string) {
	w.take(request(&event.PrivacyRequest{
		Connector: connector, Account: account, Id: id, Kind: kind, EveryAccount: every, BuyerIds: buyers, OrderIds: orders,
		RequestedMs: w.now.UnixMilli(), DueMs: w.now.Add(month).UnixMilli(),
	}))
}

func (w *world) forgotten() []string {
	told := slices.Clone(w.told)
	w.told = nil
	slices.Sort(told)
	return slices.Compact(told)
}

const (
	buyer   = event.PrivacyKind_PRIVACY_KIND_BUYER
	account = event.PrivacyKind_PRIVACY_KIND_ACCOUNT
	data    = event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST
)

// Each kind of request finds its orders and no others; it is carried out when a look finds none.
func TestWhoIsForgotten(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(*world)
		id   string
		want []string
	}{
		{"a buyer", func(w *world) { w.asked("shopify", "uk", "q", buyer, false, nil, "ann") }, "uk/q", []string{"uk/1", "uk/2"}},
		{"a buyer, with an order of no buyer that is named", func(w *world) { w.asked("shopify", "uk", "q", buyer, false, []string{"4", "9"}, "ann") }, "uk/q", []string{"uk/1", "uk/2", "uk/4", "uk/9"}},
		{"a buyer of every account", func(w *world) { w.asked("ebay", "ebay-uk", "q", buyer, true, nil, "U1", "ann") }, "ebay-uk/q", []string{"ebay-de/6", "ebay-uk/7"}},
		{"all of an account", func(w *world) { w.asked("shopify", "uk", "q", account, false, nil) }, "uk/q", []string{"uk/1", "uk/2", "uk/3", "uk/4"}},
		{"nobody, who wants to know", func(w *world) { w.asked("shopify", "uk", "q", data, false, []string{"1"}, "ann") }, "uk/q", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			before, after := w.now.Add(-time.Hour), w.now.Add(time.Hour)
			w.order(bought("shopify", "uk", "1", "ann", before))
			w.order(bought("shopify", "uk", "2", "ann", before))
			w.order(bought("shopify", "uk", "3", "bo", before))
			w.order(bought("shopify", "uk", "4", "", before))
			w.order(bought("shopify", "de", "5", "ann", before)) // another shop's ann
			w.order(bought("ebay", "ebay-de", "6", "ann", before))
			w.order(bought("ebay", "ebay-uk", "7", "U1", before))
			w.order(bought("shopify", "uk", "8", "ann", after)) // placed since
			tt.ask(w)
			w.look()
			if diff := cmp.Diff(tt.want, w.forgotten()); diff != "" {
				t.Errorf("forgotten (-want +got):\n%s", diff)
			}
			if s := state(w.room, w.memory, tt.id); Done(s) {
				t.Errorf("carried out before a look found nothing: %v", s)
			}
			w.now = w.now.Add(time.Hour)
			w.look()
			if got := w.forgotten(); len(got) != 0 {
				t.Errorf("forgotten again: %v", got)
			}
			s := state(w.room, w.memory, tt.id)
			if Done(s) != (s.Kind != data) {
				t.Errorf("after a look that found nothing: %v", s)
			}
		})
	}
}

// What comes late, or was left by a late writer at the end of the orders' topic, is found by the
// daily look, and the request is open until it is gone too.
func TestLateOrders(t *testing.T) {
	w := newWorld(t)
	long := w.now.Add(-time.Hour)
	w.asked("shopify", "uk", "q", buyer, false, nil, "ann")
	w.look()
	if s := state(w.room, w.memory, "uk/q"); !Done(s) || s.Orders != 0 {
		t.Fatalf("nothing was held: %v", s)
	}
	w.order(bought("shopify", "uk", "1", "ann", long))
	w.now = w.now.Add(time.Hour)
	w.look()
	if got := w.forgotten(); len(got) != 0 {
		t.Errorf("nothing is open and no day has passed, but the orders were looked through: %v", got)
	}
	w.now = w.now.Add(24 * time.Hour)
	w.look()
	if s := state(w.room, w.memory, "uk/q"); Done(s) || s.Orders != 1 || len(w.forgotten()) != 1 {
		t.Fatalf("a late order: %v", s)
	}
	w.now = w.now.Add(time.Hour)
	w.look()
	if s := state(w.room, w.memory, "uk/q"); !Done(s) {
		t.Errorf("once it is gone: %v", s)
	}
	w.order(bought("shopify", "uk", "1", "ann", long)) // a zombie's record
	w.now = w.now.Add(24 * time.Hour)
	w.look()
	if got := w.forgotten(); len(got) != 1 {
		t.Errorf("an older state at the end of the topic: told %v", got)
	}
}

// An order's own term is carried out before it ends, under a request of its day.
func TestRetention(t *testing.T) {
	w := newWorld(t)
	ends := func(id string, at time.Time) {
		o := bought("amazon", "amz", id, "x"+id, w.now.Add(-40*24*time.Hour))
		o.PersonalUntilMs = at.UnixMilli()
		w.order(o)
	}
	ends("1", w.now.Add(30*time.Hour))
	ends("2", w.now.Add(48*time.Hour))
	ends("3", w.now.Add(-365*24*time.Hour))
	w.order(bought("amazon", "amz", "4", "x4", w.now)) // not shipped
	w.look()
	if diff := cmp.Diff([]string{"amz/1", "amz/3"}, w.forgotten()); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
	w.now = w.now.Add(time.Hour)
	w.look()
	for id, due := range map[string]string{"amz/retention-2026-11-21": "2026-11-22T00:00:00Z", "amz/retention-2026-11-20": "2026-11-21T00:00:00Z"} {
		s := state(w.room, w.memory, id)
		if s == nil || !Done(s) || s.Orders != 1 || time.UnixMilli(s.DueMs).UTC().Format(time.RFC3339) != due || s.Connector != "amazon" {
			t.Errorf("%s: %v", id, s)
		}
	}
	w.now = w.now.Add(24 * time.Hour)
	w.look()
	if diff := cmp.Diff([]string{"amz/2"}, w.forgotten()); diff != "" {
		t.Errorf("forgotten the day after (-want +got):\n%s", diff)
	}
}

// An open request is told of once a day when its deadline is near, louder when it is over, and
// stands in the metrics.
func TestDeadlines(t *testing.T) {
	w := newWorld(t)
	w.asked("shopify", "uk", "data-1", data, false, nil, "ann")
	w.asked("ebay", "e", "n1", buyer, true, nil, "ann")
	for _, tt := range []struct {
		at   time.Duration
		want int
		hard bool
	}{
		{0, 0, false}, {month - 73*time.Hour, 0, false}, {month - 71*time.Hour, 1, false}, {month - 70*time.Hour, 1, false},
		{month - 47*time.Hour, 2, false}, {month + time.Hour, 3, true},
	} {
		w.now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).Add(tt.at)
		w.look()
		if len(w.alerts) != tt.want {
			t.Fatalf("at %s: %d alerts, want %d", tt.at, len(w.alerts), tt.want)
		}
		if tt.want > 0 {
			a := w.alerts[len(w.alerts)-1]
			if (a.Severity == event.Severity_SEVERITY_CRITICAL) != tt.hard || a.Account != "uk" || !strings.Contains(a.Text, "crossdock privacy export uk/data-1") {
				t.Errorf("at %s: %v", tt.at, a)
			}
		}
	}
	got := w.gauges()
	if due := state(w.room, w.memory, "uk/data-1").DueMs / 1000; got["crossdock_privacy_open shopify"] != 1 || int64(got["crossdock_privacy_due_timestamp_seconds shopify"]) != due || got["crossdock_privacy_open ebay"] != 0 {
		t.Errorf("metrics: %v", got)
	}
	w.take(handed("uk", "data-1", "kim", "", w.now.UnixMilli()))
	w.look()
	w.look()
	if _, there := w.gauges()["crossdock_privacy_due_timestamp_seconds shopify"]; len(w.alerts) != 3 || there {
		t.Errorf("after the handover: %d alerts, %v", len(w.alerts), w.gauges())
	}
}

// A look that could not write is none: the next one finds the same.
func TestLookThatFails(t *testing.T) {
	w := newWorld(t)
	w.order(bought("shopify", "uk", "1", "ann", w.now.Add(-time.Hour)))
	w.asked("shopify", "uk", "q", buyer, false, nil, "ann")
	w.broken = true
	if err := w.Look(t.Context()); err == nil {
		t.Error("a look that wrote nothing")
	}
	if s := state(w.room, w.memory, "uk/q"); Done(s) || s.Orders != 0 {
		t.Errorf("request %v", s)
	}
	w.broken = false
	w.look()
	if got := w.forgotten(); len(got) != 1 {
		t.Errorf("forgotten: %v", got)
	}
}

// With another key nobody is found, and nothing is said to be carried out.
func TestAnotherKey(t *testing.T) {
	w := newWorld(t)
	w.order(bought("shopify", "uk", "1", "ann", w.now.Add(-time.Hour)))
	w.asked("shopify", "uk", "q", buyer, false, nil, "ann")
	h, err := newHasher([]byte("another"))
	if err != nil {
		t.Fatal(err)
	}
	w.Sweeper.hash = h
	w.now = w.now.Add(month)
	w.look()
	if s := state(w.room, w.memory, "uk/q"); Done(s) {
		t.Errorf("request %v", s)
	}
	if len(w.alerts) != 1 || !strings.Contains(w.alerts[0].Text, "buyer_key") {
		t.Errorf("alerts %v", w.alerts)
	}
	if _, err := Collect(t.Context(), w.scan, []byte("another"), state(w.room, w.memory, "uk/q"), w.now); err == nil {
		t.Error("an export with another key")
	}
}

// The record of a request ends when it has served its time.
func TestRecordsEnd(t *testing.T) {
	w := newWorld(t)
	w.asked("ebay", "e", "n1", buyer, true, nil, "nobody-of-ours")
	w.look()
	for _, tt := range []struct {
		after time.Duration
		there bool
	}{{89 * 24 * time.Hour, true}, {91 * 24 * time.Hour, false}} {
		w.now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).Add(tt.after)
		w.look()
		if there := state(w.room, w.memory, "e/n1") != nil; there != tt.there {
			t.Errorf("after %s it is there: %v", tt.after, there)
		}
	}
	if states, err := Requests(t.Context(), w.scan); err != nil || len(states) != 0 {
		t.Errorf("%d requests, %v", len(states), err)
	}
}

// What remains of a request is the topics' own retention, and ends.
func TestRemains(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	s := &event.PrivacyState{Kind: buyer, DoneMs: at.UnixMilli()}
	until := map[string]time.Time{}
	for _, r := range Remains(s, at) {
		until[r.Topic] = r.Until
	}
	for _, topic := range schemas.Topics() {
		if _, ok := until[topic.Name]; ok != topic.Personal {
			t.Errorf("%s is listed: %v", topic.Name, ok)
		}
	}
	if until[schemas.RawOrders.Name] != at.Add(month) || until[schemas.Orders.Name] != at.Add(schemas.Orders.MaxCompactionLag) || schemas.Orders.MaxCompactionLag == 0 {
		t.Errorf("until %v", until)
	}
	if rest := Remains(s, at.Add(month)); len(rest) != 0 {
		t.Errorf("after all retentions: %v", rest)
	}
	if rest := Remains(&event.PrivacyState{Kind: buyer}, at); rest != nil {
		t.Errorf("of an open request: %v", rest)
	}
}

// Every topic that carries personal data loses it by itself.
func TestEveryPersonalTopicEnds(t *testing.T) {
	for _, topic := range schemas.Topics() {
		if topic.Personal && topic.Retention == 0 && topic.MaxCompactionLag == 0 {
			t.Errorf("%s carries personal data without end", topic.Name)
		}
	}
}
