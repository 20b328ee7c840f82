package ebay

import (
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// topic is one kind of notification that we ask for.
type topic struct {
	name   string
	format string
	// as is who subscribes: topics of a seller need the seller's token.
	as actor
	// version of the payload's schema.
	version string
}

// topics is all of them; EnsureWebhooks subscribes to exactly these. Cancellations and
// returns have no topic in this API: they come with the poll.
// https://developer.ebay.com/develop/guides/notifications (2026-11)
func topics() []topic {
	return []topic{
		{"ORDER_CONFIRMATION", formatConfirmed, asUser, "1.0"},
		{"ITEM_MARKED_SHIPPED", formatShipped, asUser, "1.0"},
		{"MARKETPLACE_ACCOUNT_DELETION", formatDeletion, asApplication, "1.0"},
		{"AUTHORIZATION_REVOCATION", formatRevoked, asApplication, "1.0"},
	}
}

// notification is the part of a notification that names it.
type notification struct {
	topic, id      string
	event, publish time.Time
	order          string
	user, username string
}

// readNotification reads {"metadata": {"topic"}, "notification": {"notificationId",
// "eventDate", "publishDate", "data": {…}}}.
func readNotification(r *jsonread.Reader) (n notification) {
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("a notification")
		return n
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "metadata":
			r.Once(&seen, 0)
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				if key == "topic" {
					n.topic = r.Text()
				} else {
					r.Skip()
				}
			}
		case "notification":
			r.Once(&seen, 1)
			n.read(r)
		default:
			r.Skip()
		}
	}
	return n
}

func (n *notification) read(r *jsonread.Reader) {
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	at := func() time.Time {
		if ms := r.Instant(); ms != 0 {
			return time.UnixMilli(ms).UTC()
		}
		return time.Time{}
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "notificationId":
			r.Once(&seen, 0)
			n.id = r.Text()
		case "eventDate":
			r.Once(&seen, 1)
			n.event = at()
		case "publishDate":
			r.Once(&seen, 2)
			n.publish = at()
		case "data":
			r.Once(&seen, 3)
			n.data(r)
		default:
			r.Skip()
		}
	}
}

// data looks for the ids in the topic's own part, at any depth: payloads of orders hold them
// inside of the order.
func (n *notification) data(r *jsonread.Reader) {
	switch r.Peek() {
	case '{':
		r.Object()
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch {
			case key == "orderId" && n.order == "" && r.Peek() == '"':
				n.order = r.Text()
			case key == "userId" && n.user == "" && r.Peek() == '"':
				n.user = r.Text()
			case key == "username" && n.username == "" && r.Peek() == '"':
				n.username = r.Text()
			default:
				n.data(r)
			}
		}
	case '[':
		for ok := r.Array(); ok && r.More(); {
			n.data(r)
		}
	default:
		r.Skip()
	}
}

// raw is the record of a notification; ok is false for a topic that is not ours.
func (n notification) raw(body []byte) (raw connectors.Raw, ok bool) {
	for _, t := range topics() {
		if t.name != n.topic {
			continue
		}
		object := n.id
		switch {
		case n.order != "":
			object = n.order
		case n.user != "":
			object = "user/" + n.user
		}
		at := n.event
		if at.IsZero() {
			at = n.publish
		}
		return connectors.Raw{Subject: connectors.Orders, Object: object, Body: body, Format: t.format, Delivery: n.id, SourceTime: at}, true
	}
	return raw, false
}
