package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// destination is where notifications go.
type destination struct{ id, name, arn string }

// subscription is one type of notifications that goes to a destination.
type subscription struct{ id, destination, version string }

// Kinds of notifications that are sent.
const (
	OrderChange    = "ORDER_CHANGE"
	QuantityChange = "LISTINGS_ITEM_MFN_QUANTITY_CHANGE"
	FBAChange      = "FBA_INVENTORY_AVAILABILITY_CHANGES"
)

// Subscribe sends kinds of notifications to the queue, as an application does by
// createSubscription; no kinds = all that there are.
func (s *Simulator) Subscribe(kinds ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(kinds) == 0 {
		kinds = []string{OrderChange, QuantityChange, FBAChange}
	}
	if len(s.dests) == 0 {
		s.dests = append(s.dests, destination{s.uuid(), "simulated", s.QueueARN()})
	}
	for _, kind := range kinds {
		s.subs[kind] = subscription{s.uuid(), s.dests[0].id, "1.0"}
	}
}

// Subscriptions says how many subscriptions there are.
func (s *Simulator) Subscriptions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subs)
}

// Unsubscribe ends all subscriptions, as Amazon does when it cannot write into the queue.
func (s *Simulator) Unsubscribe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.subs)
}

// notify sends one notification as the faults will have it.
func (s *Simulator) notify(kind string, payload object) {
	sub, ok := s.subs[kind]
	if !ok || !slices.ContainsFunc(s.dests, func(d destination) bool { return d.id == sub.destination && d.arn == s.QueueARN() }) {
		return
	}
	at := stamp(s.now())
	body, err := json.Marshal(object{
		"NotificationVersion": "1.0", "NotificationType": kind, "PayloadVersion": sub.version, "EventTime": at, "Payload": payload,
		"NotificationMetadata": object{"ApplicationId": "amzn1.sellerapps.app.simulated", "SubscriptionId": sub.id, "PublishTime": at, "NotificationId": s.uuid()},
	})
	if err != nil {
		panic(err) // texts and numbers
	}
	s.stats.NotificationsSent++
	f := s.faults
	if s.hit(f.Drop) {
		s.stats.NotificationsDropped++
		return
	}
	visible := s.cfg.Now()
	if s.hit(f.Late) {
		s.stats.NotificationsLate++
		by := f.LateBy
		if by == 0 {
			by = 2 * time.Second
		}
		visible = visible.Add(time.Duration(s.rng.Int64N(int64(by))) + 1)
	}
	s.put(body, visible)
	if s.hit(f.Duplicate) {
		s.stats.NotificationsDuplicated++
		s.put(body, visible)
	}
}

func (s *Simulator) notifyOrder(o *order, what string) {
	names := map[string]string{pending: "Pending", unshipped: "Unshipped", partial: "PartiallyShipped", shipped: "Shipped", cancelled: "Canceled"}
	channel := "MFN"
	if o.fba {
		channel = "AFN"
	}
	items := []object{}
	var done, open int64
	for _, l := range o.lines {
		items = append(items, object{
			"OrderItemId": l.id, "SellerSKU": l.sku, "SupplySourceId": nil, "Quantity": l.quantity, "QuantityShipped": l.fulfilled,
			"IsBuyerRequestedCancel": o.requested != "",
		})
		done, open = done+l.fulfilled, open+l.quantity-l.fulfilled-l.removed
	}
	s.notify(OrderChange, object{"OrderChangeNotification": object{
		"NotificationLevel": "OrderLevel", "SellerId": s.cfg.SellerID, "AmazonOrderId": o.id, "OrderChangeType": what,
		"OrderChangeTrigger": object{"TimeOfOrderChange": stamp(o.updated), "ChangeReason": what},
		"Summary": object{
			"MarketplaceId": s.cfg.Marketplace, "OrderStatus": names[o.status], "PurchaseDate": stamp(o.created), "DestinationPostalCode": nil,
			"FulfillmentType": channel, "OrderType": "StandardOrder", "NumberOfItemsShipped": done, "NumberOfItemsUnshipped": open, "OrderItems": items,
		},
	}})
}

func (s *Simulator) notifyQuantity(l *listing) {
	s.notify(QuantityChange, object{"SellerId": s.cfg.SellerID, "FulfillmentChannelCode": "DEFAULT", "Sku": l.sku, "Quantity": l.quantity})
}

func (s *Simulator) notifyFBA(l *listing) {
	s.notify(FBAChange, object{"SellerId": s.cfg.SellerID, "FNSKU": "X00" + l.asin, "ASIN": l.asin, "SKU": l.sku, "FulfillmentInventoryByMarketplace": []object{{
		"MarketplaceId": s.cfg.Marketplace, "ItemName": l.title,
		"FulfillmentInventory": object{
			"InboundQuantityBreakdown": object{"Working": 0, "Shipped": 0, "Receiving": 0}, "Fulfillable": l.fulfillable, "Unfulfillable": 0, "Researching": 0,
			"ReservedQuantityBreakdown": object{"WarehouseProcessing": 0, "WarehouseTransfer": 0, "PendingCustomerOrder": 0},
			"FutureSupplyBuyable":       0, "PendingCustomerOrderInTransit": 0,
		},
		"Stores": []string{},
	}}})
}

func (d destination) json() object {
	return object{"destinationId": d.id, "name": d.name, "resource": object{"sqs": object{"arn": d.arn}}}
}

func (s *Simulator) getDestinations() reply {
	all := []object{}
	for _, d := range s.dests {
		all = append(all, d.json())
	}
	return reply{code: http.StatusOK, body: object{"payload": all}}
}

func (s *Simulator) createDestination(body []byte) reply {
	var b struct {
		Name     string `json:"name"`
		Resource struct {
			SQS struct {
				ARN string `json:"arn"`
			} `json:"sqs"`
		} `json:"resourceSpecification"`
	}
	if err := json.Unmarshal(body, &b); err != nil || b.Name == "" || b.Resource.SQS.ARN == "" {
		return refusal(http.StatusBadRequest, "InvalidInput", "name and resourceSpecification are required")
	}
	for _, d := range s.dests {
		if d.arn == b.Resource.SQS.ARN {
			return refusal(http.StatusConflict, "Conflict", "a destination of this resource exists")
		}
	}
	d := destination{s.uuid(), b.Name, b.Resource.SQS.ARN}
	s.dests = append(s.dests, d)
	return reply{code: http.StatusOK, body: object{"payload": d.json()}}
}

func (sub subscription) json() object {
	return object{"subscriptionId": sub.id, "payloadVersion": sub.version, "destinationId": sub.destination}
}

func (s *Simulator) getSubscription(kind string) reply {
	sub, ok := s.subs[kind]
	if !ok {
		return refusal(http.StatusNotFound, "NotFound", "there is no subscription of this type")
	}
	return reply{code: http.StatusOK, body: object{"payload": sub.json()}}
}

func (s *Simulator) createSubscription(kind string, body []byte) reply {
	var b struct {
		Version     string `json:"payloadVersion"`
		Destination string `json:"destinationId"`
	}
	if err := json.Unmarshal(body, &b); err != nil || b.Version == "" || b.Destination == "" {
		return refusal(http.StatusBadRequest, "InvalidInput", "payloadVersion and destinationId are required")
	}
	if _, ok := s.subs[kind]; ok {
		return refusal(http.StatusConflict, "Conflict", "a subscription of this type exists")
	}
	s.subs[kind] = subscription{s.uuid(), b.Destination, b.Version}
	return reply{code: http.StatusOK, body: object{"payload": s.subs[kind].json()}}
}

func (s *Simulator) deleteSubscription(kind, id string) reply {
	if sub, ok := s.subs[kind]; !ok || sub.id != id {
		return refusal(http.StatusNotFound, "NotFound", "there is no such subscription")
	}
	delete(s.subs, kind)
	return reply{code: http.StatusOK, body: object{}}
}
