package shopify

import "github.com/helloword/crossdock/connectors"

// Uses is what this connector uses of Shopify's schema.
func Uses() connectors.Uses {
	u := connectors.Uses{Words: words()}
	for _, d := range documents() {
		u.Endpoints = append(u.Endpoints, connectors.Endpoint{Name: d.name, Document: d.text})
	}
	return u
}
