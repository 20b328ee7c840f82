// Package drift compares two versions of a vendor's contract and says what of it touches the
// calls that a connector makes.
//
// In: the bytes of two contracts (OpenAPI 3, Swagger 2 or GraphQL SDL) and what the connector
// uses (connectors.Uses). Out: findings, each with its place in the contract and the call
// that it concerns, and all other changes. It opens no file, asks nobody and keeps nothing:
// the same bytes give the same findings, in the same order.
package drift

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/helloword/crossdock/connectors"
)

// Impact is what a change means for us.
type Impact string

// The impacts, from the worst.
const (
	// Breaks: a call is refused, or what we read is not there any more.
	Breaks Impact = "breaks"
	// Look: it depends on what the vendor really sends or on what we really send.
	Look Impact = "look"
	// Harmless: it concerns what we use and changes nothing for us.
	Harmless Impact = "harmless"
)

// Change is a kind of change.
type Change string

// The kinds of changes.
const (
	OperationRemoved    Change = "operation removed"
	OperationMoved      Change = "operation moved"
	OperationNew        Change = "operation added"
	OperationDeprecated Change = "operation deprecated"
	ParameterRemoved    Change = "parameter removed"
	ParameterNew        Change = "parameter added"
	ParameterRequired   Change = "parameter required"
	ParameterRetyped    Change = "parameter retyped"
	FieldRemoved        Change = "field removed"
	FieldNew            Change = "field added"
	FieldRequired       Change = "field required"
	FieldOptional       Change = "field made optional"
	FieldRetyped        Change = "field retyped"
	FieldNullable       Change = "field made nullable"
	FieldNotNullable    Change = "field no longer nullable"
	FieldDeprecated     Change = "field deprecated"
	FormatChanged       Change = "format changed"
	LimitsChanged       Change = "limits changed"
	EnumNarrowed        Change = "enum narrowed"
	EnumWidened         Change = "enum widened"
	TypeRemoved         Change = "type removed"
	TypeNew             Change = "type added"
	DirectiveRemoved    Change = "directive removed"
	DirectiveNew        Change = "directive added"
	DocumentInvalid     Change = "document invalid"
	BodyRemoved         Change = "body removed"
)

// Finding is one change.
type Finding struct {
	Impact Impact `json:"impact,omitempty"`
	Change Change `json:"change"`
	// Call is the connector's name of the call; empty for a change that touches none.
	Call string `json:"call,omitempty"`
	// Side is "request" or "response"; empty for what is neither.
	Side string `json:"side,omitempty"`
	// Field is the parameter, or the path of the member.
	Field string `json:"field,omitempty"`
	// Place is a JSON pointer, or Type.field. In says in which of the two contracts: what was
	// removed stands in the old one only.
	Place  string `json:"place"`
	In     string `json:"in"`
	Detail string `json:"detail,omitempty"`
}

// Report is what a comparison found.
type Report struct {
	// Calls is our calls that stand in one of the two contracts.
	Calls []string `json:"calls"`
	// Findings touch our calls, the worst first.
	Findings []Finding `json:"findings"`
	// Others is the changes that do not.
	Others []Finding `json:"others"`
}

// Breaks says whether anything does.
func (r *Report) Breaks() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Impact == Breaks })
}

// Compare says what of the way from old to next touches what is used.
func Compare(old, next *Contract, uses connectors.Uses) (*Report, error) {
	if (old.graph == nil) != (next.graph == nil) {
		return nil, fmt.Errorf("%s is %s and %s is %s: compare two versions of one contract", old.name, old.kind, next.name, next.kind)
	}
	graph := slices.ContainsFunc(uses.Endpoints, func(e connectors.Endpoint) bool { return e.Document != "" })
	if graph != (old.graph != nil) {
		return nil, fmt.Errorf("%s is %s, and the connector speaks %s: name the contract of the API that it calls", old.name, old.kind, map[bool]string{true: "GraphQL", false: "REST"}[graph])
	}
	c, all := newCollector(), newCollector()
	words := map[string]bool{}
	for _, w := range uses.Words {
		words[w] = true
	}
	if graph {
		compareGraph(c, old.graph, next.graph, uses.Endpoints, words)
		wholeGraph(all, old.graph, next.graph)
	} else {
		compareREST(c, old, next, uses.Endpoints, words)
		wholeREST(all, old, next)
	}
	r := &Report{Calls: c.calls, Findings: c.found, Others: []Finding{}}
	for _, f := range all.found {
		if !c.placed(f) {
			f.Impact = ""
			r.Others = append(r.Others, f)
		}
	}
	if r.Calls == nil {
		r.Calls = []string{}
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	rank := map[Impact]int{Breaks: 0, Look: 1, Harmless: 2}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(rank[a.Impact], rank[b.Impact]) })
	return r, nil
}

// key is what makes a finding one: the same change of a type that several calls share is told
// for each of them, and counted once among the others.
type key struct {
	call, place, field string
	change             Change
	side               string
}

type placed struct{ place, in string }

// collector gathers findings, each once.
type collector struct {
	calls []string
	found []Finding
	seen  map[key]bool
	at    map[placed]bool
}

func newCollector() *collector {
	return &collector{seen: map[key]bool{}, at: map[placed]bool{}}
}

func (c *collector) add(f Finding) {
	k := key{f.Call, f.Place, f.Field, f.Change, f.Side}
	if f.Call == "" {
		// By its place alone: a type is reached by many ways.
		k.field, k.side = "", ""
	}
	if c.seen[k] {
		return
	}
	c.seen[k] = true
	c.at[placed{f.Place, f.In}] = true
	c.found = append(c.found, f)
}

// placed says whether something was found at that place already, for whichever call.
func (c *collector) placed(f Finding) bool { return c.at[placed{f.Place, f.In}] }

// breaking says whether something breaks a call.
func (c *collector) breaking(call string) bool {
	return slices.ContainsFunc(c.found, func(f Finding) bool { return f.Call == call && f.Impact == Breaks })
}

// element is the step into an array.
const element = "[]"

// join is the path of a member below another.
func join(path, step string) string {
	if path == "" || step == element {
		return path + step
	}
	return path + "." + step
}

// sorted is the keys of a map in their order: nothing here depends on the order of a map.
func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
