package drift

// Operations and parameters of OpenAPI 3 and Swagger 2.

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// operation is one call of a contract.
type operation struct {
	node
	method, path string // path without the base
	id           string
	params       map[string]parameter // by where and name: "query limit"
}

type parameter struct {
	node
	name, in string
	required bool
	// schema is its type: of Swagger 2 the parameter itself.
	schema node
}

func (o *operation) title() string { return o.method + " " + o.path }

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// operations is all of them, by path and method.
func (c *Contract) operations() (all []*operation) {
	items := c.root().get("paths")
	for _, path := range sorted(items.v) {
		item := items.get(path)
		for _, method := range methods {
			n := item.get(method)
			if !n.ok() {
				continue
			}
			o := &operation{node: n, method: strings.ToUpper(method), path: path, id: n.text("operationId"), params: map[string]parameter{}}
			for _, list := range [][]node{item.list("parameters"), n.list("parameters")} {
				for _, p := range list {
					at := parameter{node: p, name: p.text("name"), in: p.text("in"), required: p.is("required"), schema: p}
					if s := p.get("schema"); s.ok() {
						at.schema = s
					}
					o.params[at.in+" "+at.name] = at
				}
			}
			all = append(all, o)
		}
	}
	return all
}

// base is the path in front of all paths.
func (c *Contract) base() string {
	if b, ok := c.tree["basePath"].(string); ok {
		return strings.TrimRight(b, "/")
	}
	servers := c.root().list("servers")
	if len(servers) == 0 {
		return ""
	}
	address := servers[0].text("url")
	variables := servers[0].get("variables")
	for name := range variables.v {
		address = strings.ReplaceAll(address, "{"+name+"}", fmt.Sprint(variables.get(name).v["default"]))
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}

// request is the schema of an operation's body.
func (o *operation) request() node {
	for _, k := range sorted(o.params) {
		if o.params[k].in == "body" {
			return o.params[k].schema
		}
	}
	return content(o.get("requestBody"))
}

// response is the schema of the answer when all is well.
func (o *operation) response() node {
	answers := o.get("responses")
	for _, code := range sorted(answers.v) {
		if len(code) != 3 || code[0] != '2' {
			continue
		}
		answer := answers.get(code)
		if s := answer.get("schema"); s.ok() {
			return s
		}
		if s := content(answer); s.ok() {
			return s
		}
	}
	return node{}
}

// content is the schema of a body that is JSON.
func content(body node) node {
	kinds := body.get("content")
	for _, kind := range sorted(kinds.v) {
		if strings.HasPrefix(kind, "application/json") || strings.HasSuffix(kind, "+json") || kind == "*/*" {
			return kinds.get(kind, "schema")
		}
	}
	return node{}
}

var hole = regexp.MustCompile(`\{[^{}]*\}`)

// same is a path whose holes have no names: vendors rename those.
func same(method, path string) string {
	return method + " " + strings.TrimRight(hole.ReplaceAllString(path, "{}"), "/")
}

// index finds operations by what they are called in the contract, by address and by id.
type index struct {
	byTitle, byPath, byID map[string]*operation
	all                   []*operation
}

func indexed(c *Contract) index {
	x := index{byTitle: map[string]*operation{}, byPath: map[string]*operation{}, byID: map[string]*operation{}, all: c.operations()}
	base := c.base()
	for _, o := range x.all {
		x.byTitle[o.title()] = o
		x.byPath[same(o.method, base+o.path)] = o
		if k := same(o.method, o.path); x.byPath[k] == nil {
			x.byPath[k] = o
		}
		if o.id != "" {
			x.byID[o.id] = o
		}
	}
	return x
}

// compareREST finds what touches our calls.
func compareREST(c *collector, old, next *Contract, calls []connectors.Endpoint, words map[string]bool) {
	before, after := indexed(old), indexed(next)
	for _, e := range calls {
		o, n := before.byPath[same(e.Method, e.Path)], after.byPath[same(e.Method, e.Path)]
		w := &walk{c: c, call: e.Name, words: words, visited: map[string]bool{}}
		switch {
		case o == nil && n == nil:
			continue // of another contract
		case o == nil:
			arrived(w, before, n)
		case n == nil:
			left(w, after, o, e)
		default:
			w.operation(o, n)
		}
		c.calls = append(c.calls, e.Name)
	}
}

// left: the call is not at its address any more.
func left(w *walk, after index, o *operation, e connectors.Endpoint) {
	if n := after.byID[o.id]; o.id != "" && n != nil {
		w.add(Finding{Impact: Breaks, Change: OperationMoved, Place: n.at, In: "new", Detail: "we call " + e.Method + " " + e.Path + ", and " + o.id + " is " + n.title() + " now"})
		w.operation(o, n)
		return
	}
	w.add(Finding{Impact: Breaks, Change: OperationRemoved, Place: o.at, In: "old", Detail: "the new contract has no " + e.Method + " " + e.Path + ": it works as long as the vendor serves the old one beside it"})
}

// arrived: the old contract does not have the call, the new one does: our code is there
// already.
func arrived(w *walk, before index, n *operation) {
	detail := "we call it already"
	if o := before.byID[n.id]; n.id != "" && o != nil {
		detail += "; " + n.id + " was " + o.title()
	}
	w.add(Finding{Impact: Harmless, Change: OperationNew, Place: n.at, In: "new", Detail: detail})
}

// operation compares one operation.
func (w *walk) operation(o, n *operation) {
	if n.is("deprecated") && !o.is("deprecated") {
		w.add(Finding{Impact: Look, Change: OperationDeprecated, Place: n.at, In: "new", Detail: "the vendor means to take it away"})
	}
	w.side = request
	w.parameters(o, n)
	w.body(o.request(), n.request(), o)
	w.side = response
	w.body(o.response(), n.response(), o)
	w.side = ""
}

// body compares the schemas of one side.
func (w *walk) body(o, n node, op *operation) {
	switch {
	case !o.ok() && !n.ok():
	case !n.ok():
		w.add(Finding{Impact: Breaks, Change: BodyRemoved, Place: o.at, In: "old", Detail: "the new contract describes no body of the " + string(w.side) + " of " + op.title()})
	case !o.ok():
		// Nothing to compare with. What is required now counts all the same.
		if w.side == request {
			w.demands(node{}, n, "")
		}
	default:
		w.schemas(o, n, "")
	}
}

// usesParameter: a name such as searchCriteria[pageSize] is put together from words.
func (w *walk) usesParameter(p parameter) bool {
	if w.words == nil || p.in == "path" {
		return true
	}
	if p.in == "header" || p.in == "cookie" {
		return false
	}
	for _, part := range strings.FieldsFunc(p.name, func(r rune) bool { return r == '[' || r == ']' || r == '.' }) {
		if !w.words[part] && strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

func (w *walk) parameters(o, n *operation) {
	for _, k := range sorted(o.params) {
		was := o.params[k]
		if was.in == "body" || !w.usesParameter(was) {
			continue
		}
		is, ok := n.params[k]
		switch {
		case !ok && was.in == "path":
			// Its name is the contract's own affair.
		case !ok:
			w.add(Finding{Impact: Breaks, Change: ParameterRemoved, Field: was.name, Place: was.at, In: "old", Detail: "we send it" + beside(newParams(o, n))})
		default:
			w.parameter(was, is)
		}
	}
	for _, k := range sorted(n.params) {
		is := n.params[k]
		was, had := o.params[k]
		if is.in == "body" || is.in == "path" {
			continue
		}
		f := Finding{Change: ParameterNew, Field: is.name, Place: is.at, In: "new"}
		switch {
		case is.required && !(had && was.required):
			f.Impact, f.Change, f.Detail = Breaks, ParameterRequired, "required in "+is.in+" now, and we do not send it"
			if is.in == "header" {
				f.Impact, f.Detail = Look, "a header that is required now: look whether it is sent"
			} else if w.usesParameter(is) {
				f.Impact, f.Detail = Look, "required in "+is.in+" now: look whether it is always sent"
			}
		case had || w.words != nil:
			continue
		}
		w.add(f)
	}
}

func newParams(o, n *operation) (names []string) {
	for _, k := range sorted(n.params) {
		if _, ok := o.params[k]; !ok && n.params[k].in == "query" {
			names = append(names, n.params[k].name)
		}
	}
	return names
}

// parameter compares the type of one.
func (w *walk) parameter(was, is parameter) {
	o, n := was.schema, is.schema
	if from, to := kindOf(o), kindOf(n); from != to && from != "" && to != "" {
		w.add(Finding{Impact: Breaks, Change: ParameterRetyped, Field: is.name, Place: is.at, In: "new", Detail: from + " → " + to})
		return
	}
	w.enum(o, n, is.name)
	if o.get("items").ok() && n.get("items").ok() {
		w.enum(o.get("items"), n.get("items"), is.name)
	}
	w.limits(o, n, is.name)
	if is.is("deprecated") && !was.is("deprecated") {
		w.add(Finding{Impact: Look, Change: FieldDeprecated, Field: is.name, Place: is.at, In: "new"})
	}
}

// wholeREST finds every change of the contract.
func wholeREST(c *collector, old, next *Contract) {
	before, after := indexed(old), indexed(next)
	matched := map[*operation]bool{}
	w := &walk{c: c, visited: map[string]bool{}}
	for _, o := range before.all {
		n := after.byTitle[o.title()]
		if n == nil {
			n = after.byPath[same(o.method, old.base()+o.path)]
		}
		if n == nil {
			n = after.byPath[same(o.method, o.path)]
		}
		if n == nil && o.id != "" {
			if n = after.byID[o.id]; n != nil {
				w.add(Finding{Change: OperationMoved, Place: n.at, In: "new", Detail: o.title() + " → " + n.title()})
			}
		}
		if n == nil {
			w.add(Finding{Change: OperationRemoved, Place: o.at, In: "old", Detail: o.title()})
			continue
		}
		matched[n] = true
		w.operation(o, n)
	}
	for _, n := range after.all {
		if !matched[n] {
			w.add(Finding{Change: OperationNew, Place: n.at, In: "new", Detail: n.title()})
		}
	}
}

// beside names what is new where something is gone: mostly it has been renamed.
func beside(names []string) string {
	if len(names) == 0 {
		return ""
	}
	const most = 4
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = slices.Clone(names[:most])
	}
	return "; new beside it: " + strings.Join(names, ", ") + more
}
