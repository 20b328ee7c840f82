package poll

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func (m *memory) alerts(t *testing.T) (all []string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if r.Topic != schemas.Alerts {
			continue
		}
		a := new(event.Alert)
		if err := a.UnmarshalVT(r.Value); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %s", a.Severity, a.Kind, a.Account))
	}
	return all
}

// TestOwnerIsTold: that an account needs its owner is told once, not for each subject and not
// each time; that it is over, too. It is stored only after it was told.
func TestOwnerIsTold(t *testing.T) {
	locked := connectors.ErrNeedsAuthorisation
	ask := func() pollFunc {
		return func(context.Context, connectors.PollRequest, func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{Cursor: cursor(1)}, locked
		}
	}
	mr := newRedis(t)
	w := newWorld(t, Config{Recheck: time.Hour}, mr, ask())
	c := w.connections[0]
	// A second subject of the same account.
	more := newWorld(t, Config{Recheck: time.Hour}, mr, ask(), Connection{Connector: "shopify", Account: "shop-de", Pollers: map[connectors.Subject]connectors.Poller{
		connectors.Orders: ask(), connectors.Products: ask(),
	}})
	w.kafka.fail = func(int) error { return errors.New("broker away") }
	w.visitOrders(t.Context())
	if e := w.stored(t); e.Class != "" || e.Failures != 0 {
		t.Errorf("stored before it was told: %+v", e)
	}
	w.kafka.fail = nil
	for i := range 3 {
		mr.SetTime(epoch.Add(time.Duration(i) * 2 * time.Hour))
		w.visitOrders(t.Context())
	}
	if got := w.Status()[0]; got.Class != "needs-authorisation" || got.Failures != 3 {
		t.Errorf("status %+v", got)
	}
	want := []string{"SEVERITY_CRITICAL needs-authorisation shop-uk"}
	if diff := cmp.Diff(want, w.kafka.alerts(t)); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(w.log.String(), "broker away") == false {
		t.Error("that it could not be told is not in the log")
	}
	de := more.connections[1]
	for _, sub := range de.subjects {
		more.visit(t.Context(), de, sub)
	}
	locked = nil
	mr.SetTime(epoch.Add(24 * time.Hour))
	w.visit(t.Context(), c, c.subjects[0])
	for _, sub := range de.subjects {
		more.visit(t.Context(), de, sub)
	}
	if diff := cmp.Diff(append(want, "SEVERITY_INFO needs-authorisation shop-uk"), w.kafka.alerts(t)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"SEVERITY_CRITICAL needs-authorisation shop-de", "SEVERITY_INFO needs-authorisation shop-de"}, more.kafka.alerts(t)); diff != "" {
		t.Error(diff)
	}
}
