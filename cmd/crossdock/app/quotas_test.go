package app

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon"
	xredis "github.com/helloword/crossdock/internal/redis"
)

// told is a limiter that remembers what it was told.
type told struct{ states []connectors.LimitState }

func (*told) Wait(context.Context, string, float64, connectors.Priority) error { return nil }
func (l *told) Observe(_ string, s connectors.LimitState)                      { l.states = append(l.states, s) }

// TestEveryOperationOfAmazonHasItsQuota: one that is missing would be taken for a fast one.
func TestEveryOperationOfAmazonHasItsQuota(t *testing.T) {
	named := amazonQuotas()
	for _, e := range amazon.Uses().Endpoints {
		if _, ok := named[e.Name]; !ok {
			t.Errorf("%s has no quota", e.Name)
		}
		delete(named, e.Name)
	}
	if len(named) > 0 {
		t.Errorf("there are quotas of what is not called: %v", named)
	}
}

// TestOwnPace: what the configuration says counts for every operation, and no answer of the
// platform brings its own limits back. A wish to be left alone is heard all the same.
func TestOwnPace(t *testing.T) {
	other, named := quotasOf(config.Connection{Connector: "amazon", PerSecond: 50})
	if diff := cmp.Diff(xredis.Quota{Capacity: 50, PerSecond: 50}, other); diff != "" || named != nil {
		t.Errorf("by operation %v; of all (-want +got):\n%s", named, diff)
	}
	if other, _ := quotasOf(config.Connection{Connector: "magento", PerSecond: 0.5}); other.Validate() != nil || other.Capacity != 1 {
		t.Errorf("less than one a second: %+v, %v", other, other.Validate())
	}
	if _, named := quotasOf(config.Connection{Connector: "amazon"}); named["searchOrders"].PerSecond > 0.01 {
		t.Errorf("without a pace of its own: %v", named)
	}
	inner := &told{}
	o := overruled{inner}
	o.Observe("searchOrders", connectors.LimitState{PerSecond: 0.0056, Known: true})
	o.Observe("searchOrders", connectors.LimitState{PerSecond: 0.0056, Known: true, RetryAfter: time.Minute})
	if diff := cmp.Diff([]connectors.LimitState{{RetryAfter: time.Minute}}, inner.states); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
