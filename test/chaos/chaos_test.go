package chaos

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"
)

// long says that the whole matrix is wanted.
func long() bool { return os.Getenv("CROSSDOCK_CHAOS") == "long" }

// points of each role, in the order in which it passes them.
func points(role string) []string {
	switch role {
	case "webhook":
		return []string{"Receive", "Produce", "Answer"}
	case "poll":
		return []string{"Fetch", "Produce", "Save"}
	case "push":
		return []string{"Claim", "Call", "Record", "CommandClaim", "CommandCall", "CommandRecord"}
	case "clickhouse":
		return []string{"Intent", "Insert", "Confirm"}
	case "translate":
		return []string{"Assign", "Fetch", "Apply", "Emit", "Commit", "IdleLook"} // it keeps nothing to be loaded
	default:
		return []string{"Assign", "Fetch", "Load", "Apply", "Emit", "Commit", "IdleLook"}
	}
}

// matrix is what each role dies of: every point, at several passages.
func matrix() map[string][]shot {
	m := make(map[string][]shot)
	for _, role := range mortal {
		for _, p := range points(role) {
			passes := []int{1, 3}
			switch {
			case p == "Assign":
				passes = []int{1} // each process is assigned once
			case role == "poll":
				passes = []int{1, 4}
			case strings.HasPrefix(p, "Command"):
				passes = []int{1, 3}
			case role == "webhook", role == "push", role == "clickhouse":
				passes = []int{1, 2, 5, 9}
			case p == "IdleLook":
				passes = []int{1}
			case p == "Apply", p == "Emit", p == "Commit":
				passes = []int{1, 2, 6}
			}
			for _, n := range passes {
				m[role] = append(m[role], shot{p, n})
			}
		}
	}
	return m
}

// choice is the short form: each role, and every kind of point.
func choice() map[string][]shot {
	return map[string][]shot{
		"webhook":    {{"Receive", 3}, {"Produce", 2}, {"Answer", 4}, {"Produce", 5}},
		"poll":       {{"Fetch", 1}, {"Produce", 1}},
		"translate":  {{"Apply", 2}, {"Emit", 1}, {"Commit", 3}, {"Emit", 4}},
		"catalog":    {{"Load", 1}, {"Emit", 1}, {"Commit", 1}},
		"orders":     {{"Load", 1}, {"Apply", 2}, {"Emit", 2}, {"Commit", 1}},
		"stock":      {{"Apply", 3}, {"Emit", 1}, {"Commit", 2}, {"Assign", 1}},
		"fx":         {{"Fetch", 2}, {"Apply", 1}, {"Emit", 1}},
		"commands":   {{"Load", 2}, {"Apply", 3}, {"Emit", 1}, {"Commit", 2}},
		"privacy":    {{"Apply", 1}, {"Emit", 2}, {"Commit", 1}},
		"push":       {{"CommandClaim", 1}, {"Claim", 2}, {"CommandCall", 1}, {"Record", 2}, {"CommandRecord", 2}, {"Call", 3}},
		"clickhouse": {{"Intent", 2}, {"Insert", 3}, {"Confirm", 2}, {"Insert", 1}},
	}
}

// TestKilled lets every role die at named points while trade goes on, and compares everything
// with what trade did.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("NOTICE: nothing is killed in short mode")
	}
	w := newWorld(t)
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.settle(t, "before")
	plan := choice()
	if long() {
		plan = matrix()
	}
	w.during(func() { w.kill(t, plan) })
	v := w.settle(t, "killed at named points")
	if long() {
		v = w.disasters(t)
	}
	w.report(t, v)
}

// kill lets roles die, side by side, each one death after the other.
func (w *world) kill(t *testing.T, plan map[string][]shot) {
	t.Helper()
	for role, shots := range plan {
		w.roles[role].shoot(shots...)
	}
	until(t, 15*time.Minute, "every role has died its deaths", func() bool {
		for role := range plan {
			if !w.roles[role].idle() {
				return false
			}
		}
		return true
	})
}

// report prints who died where, and the last line.
func (w *world) report(t *testing.T, v *verdict) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %-10s %6s %12s\n", "role", "point", "kills", "not reached")
	total, missed := 0, 0
	for _, name := range roleNames {
		r := w.roles[name]
		r.mu.Lock()
		all := make(map[string]bool)
		for p := range r.kills {
			all[p] = true
		}
		for p := range r.misses {
			all[p] = true
		}
		order := make([]string, 0, len(all))
		for p := range all {
			order = append(order, p)
		}
		sort.Strings(order)
		for _, p := range order {
			fmt.Fprintf(&b, "%-12s %-10s %6d %12d\n", name, p, r.kills[p], r.misses[p])
			total += r.kills[p]
			missed += r.misses[p]
		}
		for _, e := range r.ends {
			fmt.Fprintf(&b, "%-12s ended by itself: %s\n", name, e)
		}
		r.mu.Unlock()
	}
	var writes, empty int
	for _, sh := range w.shops {
		sh.ledger.mu.Lock()
		writes += sh.writes
		empty += sh.empty
		sh.ledger.mu.Unlock()
	}
	fmt.Fprintf(&b, "%d orders, %d refunds, %d warehouse entries, %d stock writes carried out (%d of them changed nothing, %d lowered once more what a shop had put back), %d points not reached\n", v.orders, v.refunds, w.entries, writes, empty, v.lowered, missed)
	least := 20
	if long() {
		least = 100
	}
	if total < least {
		t.Errorf("only %d kills, want at least %d", total, least)
	}
	fmt.Printf("%schaos: %d kills, %d lost, %d doubled, %d SKUs wrong, %d listings differing; %d commands, %d not carried out, %d doubled; %d requests about people, %d open or lost\n",
		b.String(), total, v.lost, v.doubled+v.extra, v.skus, v.shown, v.commands, v.undone, v.twice, v.requests, v.open)
}
