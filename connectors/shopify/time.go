package shopify

import "time"

// stamp is a time as Shopify's search syntax wants it; it has no fractions.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
