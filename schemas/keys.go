package schemas

// CommandKey is the record key of everything about the commands of one order or, when order is
// empty, about the price of one listing. No account's name holds a colon.
func CommandKey(account, order, listing string) string {
	if order != "" {
		return account + "/" + order
	}
	return "price:" + account + "/" + listing
}
