package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// fitMemory chooses how much memory the collector may spend to save time: three times what is
// in use, and never beyond four fifths of what the container has. GOGC and GOMEMLIMIT overrule it.
func fitMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	// Without a container there is no limit, which is no error.
	_, _ = memlimit.SetGoMemLimitWithOpts(
		memlimit.WithRatio(0.8), memlimit.WithProvider(memlimit.FromCgroup),
		memlimit.WithLogger(slog.New(slog.DiscardHandler)),
	)
}
