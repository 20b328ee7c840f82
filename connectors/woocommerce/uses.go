package woocommerce

import (
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// Uses is what this connector uses of the REST API. WooCommerce publishes no contract of it:
// it serves for descriptions that others write, with paths below /wp-json or from the root on.
func Uses() connectors.Uses {
	u := connectors.Uses{Words: words()}
	for _, call := range []string{
		"GET orders",
		"GET orders/{id}",
		"PUT orders/{id}",
		"GET orders/{id}/refunds",
		"POST orders/{id}/refunds",
		"GET orders/{id}/notes",
		"POST orders/{id}/notes",
		"GET products",
		"POST products/batch",
		"GET products/{id}/variations",
		"POST products/{id}/variations/batch",
		"GET variations",
		"GET webhooks",
		"POST webhooks",
		"PUT webhooks/{id}",
		"GET settings/{group}/{id}",
	} {
		method, path, _ := strings.Cut(call, " ")
		u.Endpoints = append(u.Endpoints, connectors.Endpoint{Name: call, Method: method, Path: "/wc/v3/" + path})
	}
	return u
}
