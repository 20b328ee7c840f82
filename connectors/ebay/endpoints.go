package ebay

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// Every call that this connector can make stands here once: a test sends each of them and
// checks it against eBay's own contract, and fails for one that it does not know.

// endpoint is one call of one API.
type endpoint struct {
	method string
	// base is the API's base path; path is below it, with {names} to be filled in.
	base, path string
	// bucket is the operation whose quota the call uses up: eBay counts by API.
	// https://developer.ebay.com/develop/get-started/api-call-limits
	bucket string
	as     actor
	// signed: the call carries a digital signature when there is a key for it.
	signed bool
}

const (
	baseFulfillment  = "/sell/fulfillment/v1"
	baseInventory    = "/sell/inventory/v1"
	baseNotification = "/commerce/notification/v1"
	baseAnalytics    = "/developer/analytics/v1_beta"
	basePostOrder    = "/post-order/v2"
)

// Operations of the limiter.
const (
	bucketFulfillment  = "fulfillment"
	bucketInventory    = "inventory"
	bucketNotification = "notification"
	bucketAnalytics    = "analytics"
	bucketPostOrder    = "post-order"
)

var (
	callOrders      = endpoint{http.MethodGet, baseFulfillment, "/order", bucketFulfillment, asUser, false}
	callOrder       = endpoint{http.MethodGet, baseFulfillment, "/order/{orderId}", bucketFulfillment, asUser, false}
	callShipments   = endpoint{http.MethodGet, baseFulfillment, "/order/{orderId}/shipping_fulfillment", bucketFulfillment, asUser, false}
	callShip        = endpoint{http.MethodPost, baseFulfillment, "/order/{orderId}/shipping_fulfillment", bucketFulfillment, asUser, false}
	callRefund      = endpoint{http.MethodPost, baseFulfillment, "/order/{order_id}/issue_refund", bucketFulfillment, asUser, true}
	callCancel      = endpoint{http.MethodPost, basePostOrder, "/cancellation", bucketPostOrder, asUser, true}
	callApprove     = endpoint{http.MethodPost, basePostOrder, "/cancellation/{cancelId}/approve", bucketPostOrder, asUser, true}
	callDisputes    = endpoint{http.MethodGet, baseFulfillment, "/payment_dispute_summary", bucketFulfillment, asUser, false}
	callItems       = endpoint{http.MethodGet, baseInventory, "/inventory_item", bucketInventory, asUser, false}
	callItemsOf     = endpoint{http.MethodPost, baseInventory, "/bulk_get_inventory_item", bucketInventory, asUser, false}
	callOffers      = endpoint{http.MethodGet, baseInventory, "/offer", bucketInventory, asUser, false}
	callUpdate      = endpoint{http.MethodPost, baseInventory, "/bulk_update_price_quantity", bucketInventory, asUser, false}
	callKey         = endpoint{http.MethodGet, baseNotification, "/public_key/{public_key_id}", bucketNotification, asApplication, false}
	callConfig      = endpoint{http.MethodGet, baseNotification, "/config", bucketNotification, asApplication, false}
	callSetConfig   = endpoint{http.MethodPut, baseNotification, "/config", bucketNotification, asApplication, false}
	callPlaces      = endpoint{http.MethodGet, baseNotification, "/destination", bucketNotification, asApplication, false}
	callAddPlace    = endpoint{http.MethodPost, baseNotification, "/destination", bucketNotification, asApplication, false}
	callSetPlace    = endpoint{http.MethodPut, baseNotification, "/destination/{destination_id}", bucketNotification, asApplication, false}
	callTopics      = endpoint{http.MethodGet, baseNotification, "/subscription", bucketNotification, asApplication, false}
	callSubscribe   = endpoint{http.MethodPost, baseNotification, "/subscription", bucketNotification, asApplication, false}
	callResubscribe = endpoint{http.MethodPut, baseNotification, "/subscription/{subscription_id}", bucketNotification, asApplication, false}
	callEnable      = endpoint{http.MethodPost, baseNotification, "/subscription/{subscription_id}/enable", bucketNotification, asApplication, false}
	callLimits      = endpoint{http.MethodGet, baseAnalytics, "/rate_limit/", bucketAnalytics, asApplication, false}
	callUserLimits  = endpoint{http.MethodGet, baseAnalytics, "/user_rate_limit/", bucketAnalytics, asUser, false}
)

// endpoints is all of them.
func endpoints() []endpoint {
	return []endpoint{
		callOrders, callOrder, callShipments, callDisputes, callShip, callRefund, callCancel, callApprove, callItems, callItemsOf, callOffers, callUpdate,
		callKey, callConfig, callSetConfig, callPlaces, callAddPlace, callSetPlace,
		callTopics, callSubscribe, callResubscribe, callEnable, callLimits, callUserLimits,
	}
}

func (e endpoint) name() string { return e.method + " " + e.base + e.path }

// apart: payment disputes are served by another host than the rest of their API.
func (e endpoint) apart() bool { return e == callDisputes }

// reads: asking twice harms nobody.
func (e endpoint) reads() bool { return e.method == http.MethodGet || e == callItemsOf }

// request is one call to be made.
type request struct {
	endpoint
	// ids fill the path's names, in their order.
	ids   []string
	query url.Values
	// body is sent as JSON; nil = none.
	body any
	// as overrides the endpoint's actor.
	as       actor
	priority connectors.Priority
}

func (r request) actor() actor {
	if r.as != "" {
		return r.as
	}
	return r.endpoint.as
}

// target is path and query. Ids are escaped: an id is data, and cannot name another path.
func (r request) target() string {
	path, ids := r.base+r.path, r.ids
	for len(ids) > 0 {
		from, to := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
		path = path[:from] + url.PathEscape(ids[0]) + path[to+1:]
		ids = ids[1:]
	}
	if len(r.query) > 0 {
		path += "?" + strings.ReplaceAll(r.query.Encode(), "+", "%20")
	}
	return path
}

// scheme announces the token: the Post-Order API knows only its own word for it.
func (r request) scheme() string {
	if r.base == basePostOrder {
		return "IAF "
	}
	return "Bearer "
}
