package drift

// JSON schemas of OpenAPI 3 and Swagger 2, compared from the reader's or the writer's side.

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// side is who writes a document.
type side string

const (
	request  side = "request"
	response side = "response"
)

// walk goes through two contracts side by side.
type walk struct {
	c    *collector
	call string
	side side
	// words is what our code knows; nil = everything is looked at.
	words map[string]bool
	// visited: types may hold themselves, and one change of a type is told once for each call.
	visited map[string]bool
}

func (w *walk) add(f Finding) {
	f.Call = w.call
	f.Side = string(w.side)
	w.c.add(f)
}

// parts is a schema and those that it is composed of.
func parts(n node) []node { return composed(n, "allOf", "oneOf", "anyOf") }

func composed(n node, by ...string) []node {
	all := []node{n}
	for i := 0; i < len(all) && i < 64; i++ {
		for _, k := range by {
			all = append(all, all[i].list(k)...)
		}
	}
	return all
}

// member is one of an object.
type member struct {
	// schema is its type; place is where the member itself stands, before any reference.
	schema   node
	place    string
	required bool
	ok       bool
}

// property finds a member of an object, wherever its schema says it.
func property(n node, name string) (m member) {
	for _, part := range parts(n) {
		list := part.get("properties")
		if at := list.get(name); at.ok() {
			m.schema, m.place, m.ok = at, list.at+"/"+escape(name), true
			break
		}
	}
	if at := mapped(n); !m.ok && at.ok() {
		return member{schema: at, place: at.at, ok: true} // every member is of one kind
	}
	// What only one alternative of several demands is not demanded.
	for _, part := range composed(n, "allOf") {
		m.required = m.required || demanded(part, name)
	}
	return m
}

func demanded(n node, name string) bool {
	list, _ := n.v["required"].([]any)
	return slices.Contains(list, any(name))
}

// properties is the names of all members of an object.
func properties(n node) []string {
	names := map[string]bool{}
	for _, part := range parts(n) {
		for name := range part.get("properties").v {
			names[name] = true
		}
	}
	return sorted(names)
}

// items is the schema of an array's elements.
func items(n node) node {
	for _, part := range parts(n) {
		if at := part.get("items"); at.ok() {
			return at
		}
	}
	return node{}
}

// kindOf is a schema's type; "" when it says none, and several with a stroke between.
func kindOf(n node) string {
	if !n.ok() {
		return ""
	}
	kinds := map[string]bool{}
	for _, part := range parts(n) {
		switch t := part.v["type"].(type) {
		case string:
			kinds[t] = true
		case []any:
			for _, k := range t {
				kinds[fmt.Sprint(k)] = true
			}
		}
	}
	delete(kinds, "null")
	if len(kinds) == 0 && len(properties(n)) > 0 {
		return "object"
	}
	return strings.Join(sorted(kinds), "|")
}

// nullable says whether a value may be null.
func nullable(n node) bool {
	if n.is("nullable") || n.is("x-nullable") {
		return true
	}
	for _, part := range parts(n) {
		switch t := part.v["type"].(type) {
		case string:
			if t == "null" {
				return true
			}
		case []any:
			if slices.Contains(t, any("null")) {
				return true
			}
		}
	}
	return false
}

// schemas compares two.
func (w *walk) schemas(o, n node, at string) {
	k := string(w.side) + " " + o.at + " " + n.at
	if w.visited[k] {
		return
	}
	w.visited[k] = true
	if from, to := kindOf(o), kindOf(n); from != to && from != "" && to != "" {
		w.add(Finding{Impact: w.retyped(from, to), Change: FieldRetyped, Field: at, Place: n.at, In: "new", Detail: from + " → " + to})
		return
	}
	if from, to := o.text("format"), n.text("format"); from != to {
		w.add(Finding{Impact: Look, Change: FormatChanged, Field: at, Place: n.at, In: "new", Detail: word(from) + " → " + word(to)})
	}
	if w.side == response && nullable(n) && !nullable(o) {
		w.add(Finding{Impact: Look, Change: FieldNullable, Field: at, Place: n.at, In: "new", Detail: "it may be null now"})
	}
	if w.side == request && nullable(o) && !nullable(n) {
		w.add(Finding{Impact: Look, Change: FieldNotNullable, Field: at, Place: n.at, In: "new", Detail: "look whether we send null"})
	}
	if n.is("deprecated") && !o.is("deprecated") {
		w.add(Finding{Impact: Look, Change: FieldDeprecated, Field: at, Place: n.at, In: "new", Detail: "the vendor means to take it away"})
	}
	w.enum(o, n, at)
	if w.side == request {
		w.limits(o, n, at)
	}
	w.members(o, n, at)
}

// retyped: more than before harms nobody who writes, and less nobody who reads.
func (w *walk) retyped(from, to string) Impact {
	a, b := strings.Split(from, "|"), strings.Split(to, "|")
	if w.side == response {
		a, b = b, a
	}
	within := func(kind string) bool {
		return slices.Contains(b, kind) || kind == "integer" && slices.Contains(b, "number")
	}
	if !slices.ContainsFunc(a, func(kind string) bool { return !within(kind) }) {
		return Harmless
	}
	return Breaks
}

// uses says whether our code knows a member.
func (w *walk) uses(name string) bool { return w.words == nil || w.words[name] }

func (w *walk) members(o, n node, at string) {
	if from, to := items(o), items(n); from.ok() && to.ok() {
		w.schemas(from, to, join(at, element))
	}
	if from, to := mapped(o), mapped(n); from.ok() && to.ok() {
		w.schemas(from, to, join(at, "*"))
	}
	for _, name := range union(properties(o), properties(n)) {
		if !w.uses(name) {
			continue
		}
		path := join(at, name)
		from, to := property(o, name), property(n, name)
		switch {
		case !from.ok && to.required && w.side == request:
			// See demands.
		case !from.ok:
			f := Finding{Change: FieldNew, Field: path, Place: to.place, In: "new"}
			if w.words != nil {
				f.Impact, f.Detail = Harmless, "our code knows the name already"
			}
			w.add(f)
		case !to.ok:
			detail := "we read it"
			if w.side == request {
				detail = "we send it"
			}
			w.add(Finding{Impact: Breaks, Change: FieldRemoved, Field: path, Place: from.place, In: "old", Detail: detail + beside(fresh(o, n))})
		default:
			if w.side == response && from.required && !to.required {
				w.add(Finding{Impact: Look, Change: FieldOptional, Field: path, Place: to.place, In: "new", Detail: "it may be missing now"})
			}
			w.schemas(from.schema, to.schema, path)
		}
	}
	if w.side == request {
		w.demands(o, n, at)
	}
}

// mapped is the schema of a map's values.
func mapped(n node) node {
	for _, part := range parts(n) {
		if at := part.get("additionalProperties"); at.ok() {
			return at
		}
	}
	return node{}
}

// union is the words of two sorted lists.
func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// fresh is the members that the new schema has and the old one had not.
func fresh(o, n node) (names []string) {
	had := properties(o)
	for _, name := range properties(n) {
		if !slices.Contains(had, name) {
			names = append(names, name)
		}
	}
	return names
}

// demands finds what has to be sent now and had not to be.
func (w *walk) demands(o, n node, at string) {
	for _, name := range properties(n) {
		to := property(n, name)
		if !to.required || property(o, name).required {
			continue
		}
		f := Finding{Impact: Breaks, Change: FieldRequired, Field: join(at, name), Place: to.place, In: "new", Detail: "required now, and we do not send it"}
		if w.uses(name) {
			f.Impact, f.Detail = Look, "required now: look whether we always send it"
		}
		w.add(f)
	}
}

func (w *walk) enum(o, n node, at string) {
	was, had := values(o)
	is, has := values(n)
	if !had && !has {
		return
	}
	var gone, come []string
	for _, v := range was {
		if !slices.Contains(is, v) {
			gone = append(gone, v)
		}
	}
	for _, v := range is {
		if !slices.Contains(was, v) {
			come = append(come, v)
		}
	}
	narrowed, widened := Harmless, Look // of what we read
	if w.side == request {
		narrowed, widened = Look, Harmless // of what we send
	}
	switch {
	case !had:
		w.add(Finding{Impact: narrowed, Change: EnumNarrowed, Field: at, Place: n.at, In: "new", Detail: "only " + some(is)})
		return
	case !has:
		w.add(Finding{Impact: widened, Change: EnumWidened, Field: at, Place: n.at, In: "new", Detail: "any value"})
		return
	}
	if len(gone) > 0 {
		f := Finding{Impact: narrowed, Change: EnumNarrowed, Field: at, Place: n.at, In: "new", Detail: "without " + some(gone)}
		w.named(&f, gone)
		w.add(f)
	}
	if len(come) > 0 {
		w.add(Finding{Impact: widened, Change: EnumWidened, Field: at, Place: n.at, In: "new", Detail: "with " + some(come)})
	}
}

// named: what is gone matters more when our code names it.
func (w *walk) named(f *Finding, gone []string) {
	var ours []string
	for _, v := range gone {
		if w.words[v] {
			ours = append(ours, v)
		}
	}
	switch {
	case len(ours) == 0:
	case w.side == request:
		f.Impact = Breaks
		f.Detail += "; our code names " + some(ours)
	default:
		f.Impact = Look
		f.Detail += "; our code waits for " + some(ours)
	}
}

// values is the values that a schema allows.
func values(n node) (all []string, ok bool) {
	list, ok := n.v["enum"].([]any)
	for _, v := range list {
		if v != nil {
			all = append(all, fmt.Sprint(v))
		}
	}
	slices.Sort(all)
	return all, ok
}

// some is the first of many words.
func some(list []string) string {
	const most = 6
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

// limits compares how large what we send may be.
func (w *walk) limits(o, n node, at string) {
	var changed []string
	for _, k := range []string{"maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "pattern"} {
		from, to := value(o.v[k]), value(n.v[k])
		if from != to {
			changed = append(changed, k+" "+word(from)+" → "+word(to))
		}
	}
	if len(changed) > 0 {
		w.add(Finding{Impact: Look, Change: LimitsChanged, Field: at, Place: n.at, In: "new", Detail: strings.Join(changed, ", ")})
	}
}

func value(v any) string {
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func word(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
