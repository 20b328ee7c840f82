package connectors

import "strings"

// CarrierKey is a carrier's code or name as channels compare it with those that they know: its
// letters and digits (ASCII), in lower case. "DHL Express", "dhl-express" and "DHLExpress" are one.
func CarrierKey(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, text)
}
