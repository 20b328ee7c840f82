package ebay

import "github.com/helloword/crossdock/connectors"

// Uses is what this connector uses of eBay's contracts.
func Uses() connectors.Uses {
	u := connectors.Uses{Words: words()}
	for _, e := range endpoints() {
		u.Endpoints = append(u.Endpoints, connectors.Endpoint{Name: e.name(), Method: e.method, Path: e.base + e.path})
	}
	return u
}
