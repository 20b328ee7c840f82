package magento

import (
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// Uses is what this connector uses of Magento's contract.
func Uses() connectors.Uses {
	u := connectors.Uses{Words: words()}
	for _, call := range []string{
		"POST integration/admin/token",
		"GET orders",
		"GET orders/{id}",
		"POST orders/{id}/cancel",
		"POST order/{orderId}/ship",
		"POST order/{orderId}/refund",
		"POST invoice/{invoiceId}/refund",
		"GET invoices",
		"GET shipments",
		"GET creditmemos",
		"GET products",
		"POST products/base-prices",
		"POST products/base-prices-information",
		"GET inventory/source-items",
		"POST inventory/source-items",
		"GET inventory/sources/{sourceCode}",
		"GET store/storeConfigs",
	} {
		method, path, _ := strings.Cut(call, " ")
		path = "/V1" + "/" + path
		u.Endpoints = append(u.Endpoints, connectors.Endpoint{Name: method + " " + path, Method: method, Path: path})
	}
	return u
}
