package schemas

import "github.com/helloword/crossdock/schemas/event"

// CommandKey is the record key of everything about the commands of one order or, when order is
// empty, about the price of one listing. No account's name holds a colon.
func CommandKey(account, order, listing string) string {
	if order != "" {
		return account + "/" + order
	}
	return "price:" + account + "/" + listing
}

// CommandKind is what a command asks for, in a word; "" when this version does not know.
func CommandKind(c *event.Command) string {
	switch c.Action.(type) {
	case *event.Command_Price:
		return "price"
	case *event.Command_Shipment:
		return "shipment"
	case *event.Command_Cancellation:
		return "cancellation"
	case *event.Command_Refund:
		return "refund"
	}
	return ""
}
