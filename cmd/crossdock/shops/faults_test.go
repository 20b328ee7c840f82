package shops

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFaults(t *testing.T) {
	type faults struct {
		Duplicate, FailAfter float64
		LateBy               time.Duration
		PageDrift, HTML      bool
	}
	var got faults
	if err := setFaults(&got, "duplicate=0.5, fail-after=1,page-drift,html=false"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(faults{Duplicate: 0.5, FailAfter: 1, PageDrift: true}, got); d != "" {
		t.Error(d)
	}
}
