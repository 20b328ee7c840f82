package connectors

import "testing"

func TestCarrierKey(t *testing.T) {
	for text, want := range map[string]string{
		"DHL Express": "dhlexpress", "dhl-express": "dhlexpress", "4PX": "4px", "Österreichische Post": "sterreichischepost", "": "", "顺丰": "",
	} {
		if got := CarrierKey(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
