package app

import (
	"github.com/helloword/crossdock/connectors/magento"
	"github.com/helloword/crossdock/connectors/woocommerce"
	xredis "github.com/helloword/crossdock/internal/redis"
)

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
	default:
		return quota, nil
	}
}
