package amazon

// Quantities that are told apart from a listing: summaries of Amazon's warehouses, and
// notifications.

import (
	"strconv"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// fbaLocation is the location of what lies in Amazon's warehouses for one marketplace: a
// warehouse of its own, that nothing of ours is written to.
func fbaLocation(market string) string { return "FBA/" + market }

// summary reads {"marketplaceId", "summary": InventorySummary}.
func (t *translation) summary() []*event.InventoryObservation {
	r := t.r
	if !r.Object() {
		r.Unexpected("a summary")
		return nil
	}
	var seen, inner jsonread.Members
	var market, sku string
	var shown, at int64
	told := false
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "marketplaceId":
			r.Once(&seen, 0)
			market = r.Text()
		case "summary":
			r.Once(&seen, 1)
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				switch key {
				case "sellerSku":
					r.Once(&inner, 0)
					sku = r.Text()
				case "lastUpdatedTime":
					r.Once(&inner, 1)
					if text := r.Text(); text != "" {
						ms, ok := jsonread.Instant(text)
						if !ok {
							r.Fail("%q is not a time with a zone", jsonread.Clip(text))
						}
						at = ms
					}
				case "inventoryDetails":
					r.Once(&inner, 2)
					if !r.Object() {
						continue
					}
					for key, ok := r.Next(); ok; key, ok = r.Next() {
						if key == "fulfillableQuantity" && !r.Null() {
							shown, told = r.Integer(), true
						} else {
							r.Skip()
						}
					}
				default:
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	if r.Err() != nil || !told {
		return nil
	}
	if sku == "" || market == "" {
		r.Fail("a summary needs sellerSku and its marketplace")
		return nil
	}
	if at == 0 {
		at = t.source
	}
	return []*event.InventoryObservation{t.observation(sku, fbaLocation(market), shown, at)}
}

// notification reads a message of the queue. Of an order it is here only when the order
// itself could not be read, or the message could not.
func (t *translation) notification() []*event.InventoryObservation {
	r := t.r
	if !r.Object() {
		r.Unexpected("a notification")
		return nil
	}
	var seen jsonread.Members
	var kind, payload string
	var at int64
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "NotificationType", "notificationType":
			r.Once(&seen, 0)
			kind = r.Text()
		case "EventTime", "eventTime":
			r.Once(&seen, 1)
			at = r.Instant()
		case "Payload", "payload":
			r.Once(&seen, 2)
			payload = r.Raw()
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if at == 0 {
		at = t.source
	}
	var found []*event.InventoryObservation
	of := &translation{markets: t.markets, r: jsonread.NewString(payload), account: t.account}
	switch kind {
	case kindQuantity:
		found = of.quantityChange(at)
	case kindFBA:
		found = of.fbaChange(at)
	case kindOrderChange:
		t.unsupported = "the order that this notification names could not be read: read it again by its id, or wait for the next reading of all that changed"
		return nil
	case "":
		r.Fail("a notification needs NotificationType")
		return nil
	default:
		t.unsupported = "a notification of kind " + strconv.Quote(jsonread.Clip(kind))
		return nil
	}
	if of.r.Err() != nil {
		r.Fail("in the payload: %v", of.r.Err())
	}
	return found
}

func (t *translation) quantityChange(at int64) []*event.InventoryObservation {
	r := t.r
	var seen jsonread.Members
	var sku, channel string
	var shown int64
	told := false
	if !r.Object() {
		r.Unexpected("a payload")
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "Sku":
			r.Once(&seen, 0)
			sku = r.Text()
		case "FulfillmentChannelCode":
			r.Once(&seen, 1)
			channel = r.Text()
		case "Quantity":
			r.Once(&seen, 2)
			shown, told = r.Integer(), true
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && (sku == "" || !told) {
		r.Fail("a change of quantity needs Sku and Quantity")
	}
	if r.Err() != nil || channel != channelMerchant {
		return nil
	}
	return []*event.InventoryObservation{t.observation(sku, channelMerchant, shown, at)}
}

func (t *translation) fbaChange(at int64) []*event.InventoryObservation {
	r := t.r
	var seen jsonread.Members
	var sku string
	var found []*event.InventoryObservation
	if !r.Object() {
		r.Unexpected("a payload")
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "SKU":
			r.Once(&seen, 0)
			sku = r.Text()
		case "FulfillmentInventoryByMarketplace":
			r.Once(&seen, 1)
			t.each(func() {
				var market string
				var shown int64
				told := false
				if !r.Object() {
					return
				}
				for key, ok := r.Next(); ok; key, ok = r.Next() {
					switch key {
					case "MarketplaceId":
						market = r.Text()
					case "FulfillmentInventory":
						if !r.Object() {
							continue
						}
						for key, ok := r.Next(); ok; key, ok = r.Next() {
							if key == "Fulfillable" && !r.Null() {
								shown, told = r.Integer(), true
							} else {
								r.Skip()
							}
						}
					default:
						r.Skip()
					}
				}
				if market != "" && told {
					found = append(found, t.observation("", fbaLocation(market), shown, at))
				}
			})
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && sku == "" {
		r.Fail("a change of Amazon's stock needs its SKU")
	}
	if r.Err() != nil {
		return nil
	}
	for _, o := range found {
		o.StockId = sku
	}
	return found
}
