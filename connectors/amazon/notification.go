package amazon

import (
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// Kinds of notifications that are used. They say that something changed; what it is like now
// is read, for an order, and taken from the notification itself, for quantities.
const (
	kindOrderChange = "ORDER_CHANGE"
	kindQuantity    = "LISTINGS_ITEM_MFN_QUANTITY_CHANGE"
	kindFBA         = "FBA_INVENTORY_AVAILABILITY_CHANGES"
)

// notification is what is needed of one to say what it is about.
type notification struct {
	kind, id, seller, object string
	subject                  connectors.Subject
	at                       time.Time
}

// readNotification reads the head of a notification: member names are the same in all of
// them, but for "SKU" and "Sku", and the payload of ORDER_CHANGE, which has one more wrapping.
func readNotification(body []byte) (n notification, err error) {
	r := jsonread.New(body)
	if !r.Object() {
		r.Unexpected("a notification")
	}
	var order, sku string
	payload := func() {
		if !r.Object() {
			return
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "SellerId":
				n.seller = r.Text()
			case "Sku", "SKU":
				sku = r.Text()
			case "OrderChangeNotification":
				if !r.Object() {
					continue
				}
				for key, ok := r.Next(); ok; key, ok = r.Next() {
					switch key {
					case "SellerId":
						n.seller = r.Text()
					case "AmazonOrderId":
						order = r.Text()
					default:
						r.Skip()
					}
				}
			default:
				r.Skip()
			}
		}
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "NotificationType", "notificationType":
			n.kind = r.Text()
		case "EventTime", "eventTime":
			if ms := r.Instant(); ms != 0 {
				n.at = time.UnixMilli(ms).UTC()
			}
		case "Payload", "payload":
			payload()
		case "NotificationMetadata", "notificationMetadata":
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				if key == "NotificationId" || key == "notificationId" {
					n.id = r.Text()
				} else {
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	r.End()
	switch n.kind {
	case kindOrderChange:
		n.subject, n.object = connectors.Orders, order
	case kindQuantity, kindFBA:
		n.subject, n.object = connectors.Inventory, sku
	}
	if r.Err() == nil && n.subject != "" && (n.object == "" || len(n.object) > maxID) {
		r.Fail("%s names no object", n.kind)
	}
	return n, r.Err()
}

// raw is the record of a notification itself: of quantities, and of what nobody can read.
func (n notification) raw(m message) connectors.Raw {
	raw := connectors.Raw{Subject: n.subject, Object: n.object, Body: m.body, Format: formatNotification, Delivery: n.id, SourceTime: n.at}
	if raw.Subject == "" {
		raw.Subject = connectors.Orders
	}
	if raw.Object == "" || len(raw.Object) > maxID {
		raw.Object = unknownObject
	}
	if raw.Delivery == "" {
		raw.Delivery = m.id
	}
	return raw
}
