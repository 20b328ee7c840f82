package app

import (
	"log/slog"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon"
	"github.com/helloword/crossdock/connectors/ebay"
	"github.com/helloword/crossdock/connectors/magento"
	"github.com/helloword/crossdock/connectors/woocommerce"
	xredis "github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/sinks/push"
)

// Limiter is what a connection's calls spend its platform's quota by.
func Limiter(bucket *xredis.Bucket, cfg config.Connection, account string, log *slog.Logger) (connectors.Limiter, error) {
	other, named := quotasOf(cfg)
	l, err := push.NewLimiter(bucket, account, other, named, log)
	if err != nil {
		return nil, err
	}
	if cfg.PerSecond > 0 {
		return overruled{l}, nil
	}
	return l, nil
}

// quota that is assumed of a platform before its first answer: Shopify's smallest bucket.
// https://shopify.dev/docs/api/usage/limits
var quota = xredis.Quota{Capacity: 1000, PerSecond: 50}

// quotasOf is what is assumed of a connection's platform, or what its configuration says instead.
func quotasOf(cfg config.Connection) (other xredis.Quota, named map[string]xredis.Quota) {
	if cfg.PerSecond > 0 {
		return xredis.Quota{Capacity: max(1, cfg.PerSecond), PerSecond: cfg.PerSecond}, nil
	}
	return quotas(cfg.Connector)
}

// overruled is the limiter of a connection whose quota the configuration says: what the platform
// tells of its limits does not count, its wish to be left alone does.
type overruled struct{ connectors.Limiter }

func (o overruled) Observe(operation string, s connectors.LimitState) {
	if s.RetryAfter > 0 {
		o.Limiter.Observe(operation, connectors.LimitState{RetryAfter: s.RetryAfter})
	}
}

// quotas is what is assumed of a platform until it tells: one bucket for all operations that are
// not named, and those of the ones that are.
func quotas(connector string) (other xredis.Quota, named map[string]xredis.Quota) {
	switch connector {
	case woocommerce.Name:
		// None is published: a shop is somebody's own server, and ten calls a second are what a small
		// one bears beside its buyers.
		return xredis.Quota{Capacity: 40, PerSecond: 10}, nil
	case magento.Name:
		// None is published, either: a few calls at once, as a person at the admin makes them.
		return xredis.Quota{Capacity: 40, PerSecond: 20}, nil
	case amazon.Name:
		return quota, amazonQuotas()
	case ebay.Name:
		return quota, ebayQuotas()
	default:
		return quota, nil
	}
}

// amazonQuotas is what Amazon publishes of each operation, by seller and application.
// https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits
func amazonQuotas() map[string]xredis.Quota {
	return map[string]xredis.Quota{
		"searchOrders":                 {Capacity: 20, PerSecond: 0.0056},
		"getOrder":                     {Capacity: 30, PerSecond: 0.5},
		"confirmShipment":              {Capacity: 10, PerSecond: 2},
		"searchListingsItems":          {Capacity: 5, PerSecond: 5},
		"getListingsItem":              {Capacity: 5, PerSecond: 5},
		"patchListingsItem":            {Capacity: 5, PerSecond: 5},
		"createReport":                 {Capacity: 15, PerSecond: 0.0167},
		"getReport":                    {Capacity: 15, PerSecond: 2},
		"getReportDocument":            {Capacity: 15, PerSecond: 0.0167},
		"createFeedDocument":           {Capacity: 15, PerSecond: 0.5},
		"createFeed":                   {Capacity: 15, PerSecond: 0.0083},
		"getFeed":                      {Capacity: 15, PerSecond: 2},
		"getFeeds":                     {Capacity: 10, PerSecond: 0.0222},
		"getFeedDocument":              {Capacity: 10, PerSecond: 0.0222},
		"listTransactions":             {Capacity: 10, PerSecond: 0.5},
		"getInventorySummaries":        {Capacity: 2, PerSecond: 2},
		"getMarketplaceParticipations": {Capacity: 15, PerSecond: 0.016},
		"getDestinations":              {Capacity: 5, PerSecond: 1},
		"createDestination":            {Capacity: 5, PerSecond: 1},
		"getSubscription":              {Capacity: 5, PerSecond: 1},
		"createSubscription":           {Capacity: 5, PerSecond: 1},
		"deleteSubscriptionById":       {Capacity: 5, PerSecond: 1},
	}
}

// ebayQuotas are calls a day of one application, by API; what eBay tells later corrects them.
// https://developer.ebay.com/develop/get-started/api-call-limits
func ebayQuotas() map[string]xredis.Quota {
	day := func(calls float64) xredis.Quota { return xredis.Quota{Capacity: calls, PerSecond: calls / 86400} }
	return map[string]xredis.Quota{
		"fulfillment": day(100_000), "inventory": day(2_000_000), "notification": day(10_000), "analytics": day(5_000),
		// Not published: assumed.
		"post-order": day(10_000),
	}
}
