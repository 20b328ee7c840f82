package ebay

import (
	"testing"

	"github.com/helloword/crossdock/connectors/connectortest"
)

// TestWords: what `crossdock drift` takes for used is what stands in the code.
func TestWords(t *testing.T) { connectortest.Words(t, Uses().Words) }
