package ebay

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// eBay tells what is left of a quota not with the answers but by an API of its own:
// https://developer.ebay.com/api-docs/developer/analytics/overview.html. It is asked now and
// then; a quota is a number of calls in a window of usually one day, and what was told last
// says until when a quota that is used up stays so.

// quotaAge is how long what was told is taken as known.
const quotaAge = 15 * time.Minute

// pauseUnknown is how long an API is left alone that said 429 and whose reset is not known.
const pauseUnknown = time.Minute

// quotas remembers what was told last.
type quotas struct {
	mu     sync.Mutex
	asked  time.Time
	resets map[string]time.Time // by bucket: when it begins anew, if it is used up
}

// pause is how long a bucket is to be left alone.
func (q *quotas) pause(bucket string, now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	// The next reader asks again: something is used up.
	q.asked = time.Time{}
	if at := q.resets[bucket]; at.After(now) {
		return at.Sub(now)
	}
	return pauseUnknown
}

func (q *quotas) due(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.asked) < quotaAge {
		return false
	}
	q.asked = now
	return true
}

// rateLimits is RateLimitsResponse.
type rateLimits struct {
	Limits []struct {
		API       string `json:"apiName"`
		Resources []struct {
			Name  string `json:"name"`
			Rates []rate `json:"rates"`
		} `json:"resources"`
	} `json:"rateLimits"`
}

// rate is one quota.
type rate struct {
	Limit     int64     `json:"limit"`
	Remaining int64     `json:"remaining"`
	Reset     time.Time `json:"reset"`
	Window    int64     `json:"timeWindow"`
}

// learn asks for the quotas when it is time to, and corrects the buckets. What goes wrong is
// no reason to hold up the caller: the buckets go on by what they knew.
func (c *client) learn(ctx context.Context) {
	if !c.quotas.due(c.deps.Now()) {
		return
	}
	// Of the application, and of the seller within it: the tighter one counts.
	var all rateLimits
	for _, call := range []endpoint{callLimits, callUserLimits} {
		limits, err := c.limits(ctx, call)
		if err != nil {
			c.deps.Log.Debug("the quotas were not told", "account", c.deps.Account, "err", err)
			return
		}
		all.Limits = append(all.Limits, limits.Limits...)
	}
	c.observe(all)
}

func (c *client) limits(ctx context.Context, call endpoint) (rateLimits, error) {
	var limits rateLimits
	a, err := c.send(ctx, request{endpoint: call, priority: connectors.Normal})
	if err != nil || a.status == http.StatusNoContent {
		return limits, err
	}
	return limits, decode(a, call.name(), &limits)
}

// observe takes, of each API that we use, the quota of which the smallest part is left.
func (c *client) observe(limits rateLimits) {
	now := c.deps.Now()
	for _, bucket := range []string{bucketFulfillment, bucketInventory, bucketNotification, bucketAnalytics} {
		tightest, found := rate{}, false
		for _, l := range limits.Limits {
			if l.API != bucket {
				continue
			}
			for _, res := range l.Resources {
				for _, r := range res.Rates {
					if r.Limit > 0 && r.Window > 0 && (!found || r.Remaining*tightest.Limit < tightest.Remaining*r.Limit) {
						tightest, found = r, true
					}
				}
			}
		}
		if !found {
			continue
		}
		state := connectors.LimitState{
			Capacity: float64(tightest.Limit), Available: float64(max(0, tightest.Remaining)),
			PerSecond: float64(tightest.Limit) / float64(tightest.Window), Known: true,
		}
		c.quotas.mu.Lock()
		if c.quotas.resets == nil {
			c.quotas.resets = map[string]time.Time{}
		}
		delete(c.quotas.resets, bucket)
		if tightest.Remaining <= 0 && tightest.Reset.After(now) {
			c.quotas.resets[bucket] = tightest.Reset
			state.RetryAfter = tightest.Reset.Sub(now)
		}
		c.quotas.mu.Unlock()
		c.deps.Limiter.Observe(bucket, state)
	}
}
