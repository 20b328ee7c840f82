package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// plan is a parsed operation, ready to be run many times.
type plan struct {
	mutation bool
	fields   []*field
}

// field is one selected field; fragments are flattened into their fields, which then know
// the type that they are for.
type field struct {
	name  string
	key   string // alias or name
	on    string // type condition; empty = any
	args  ast.ArgumentList
	dirs  ast.DirectiveList
	under []*field
}

// maxPlans bounds the cache of parsed documents.
const maxPlans = 200

// plan parses a document. Callers hold mu.
func (s *Simulator) plan(text, name string) (*plan, error) {
	if p := s.plans[name+"\x00"+text]; p != nil {
		return p, nil
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		return nil, err
	}
	op := doc.Operations.ForName(name)
	if op == nil {
		return nil, fmt.Errorf("No operation named %q", name)
	}
	if op.Operation == ast.Subscription {
		return nil, errors.New("Schema is not configured for subscriptions")
	}
	p := &plan{mutation: op.Operation == ast.Mutation}
	if p.fields, err = flatten(nil, op.SelectionSet, doc.Fragments, "", 0); err != nil {
		return nil, err
	}
	if len(s.plans) >= maxPlans {
		clear(s.plans)
	}
	s.plans[name+"\x00"+text] = p
	return p, nil
}

func flatten(out []*field, set ast.SelectionSet, fragments ast.FragmentDefinitionList, on string, depth int) ([]*field, error) {
	if depth > 30 {
		return nil, errors.New("nested too deep")
	}
	var err error
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			f := &field{name: sel.Name, key: sel.Alias, on: on, args: sel.Arguments, dirs: sel.Directives}
			if f.under, err = flatten(nil, sel.SelectionSet, fragments, "", depth+1); err != nil {
				return nil, err
			}
			out = append(out, f)
		case *ast.InlineFragment:
			inner := on
			if sel.TypeCondition != "" {
				inner = sel.TypeCondition
			}
			if out, err = flatten(out, sel.SelectionSet, fragments, inner, depth+1); err != nil {
				return nil, err
			}
		case *ast.FragmentSpread:
			def := fragments.ForName(sel.Name)
			if def == nil {
				return nil, fmt.Errorf("Fragment %s was used, but not defined", sel.Name)
			}
			if out, err = flatten(out, def.SelectionSet, fragments, def.TypeCondition, depth+1); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// exec runs one plan under the shop's lock and writes the data.
type exec struct {
	s      *Simulator
	vars   map[string]any
	w      w
	actual float64
	mail   []*delivery
	err    error
	code   string
}

func (x *exec) fail(code, format string, args ...any) {
	if x.err == nil {
		x.err, x.code = fmt.Errorf(format, args...), code
	}
}

// arg is an argument's value; nil when it was not given.
func (x *exec) arg(f *field, name string) any {
	a := f.args.ForName(name)
	if a == nil {
		return nil
	}
	v, err := a.Value.Value(x.vars)
	if err != nil {
		x.fail("INVALID_VARIABLE", "%s: %v", name, err)
	}
	return v
}

func (x *exec) text(f *field, name string) string {
	v, _ := x.arg(f, name).(string)
	return v
}

// whole is an Int; ok is false when it was not given.
func whole(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	case int64:
		return v, true
	}
	return 0, false
}

// first is the page size, at most 250 as Shopify has it.
func (x *exec) first(f *field) int {
	n, ok := whole(x.arg(f, "first"))
	if !ok || n < 1 || n > 250 {
		x.fail("BAD_REQUEST", "you must provide first from 1 to 250 on %s", f.name)
		return 1
	}
	return int(n)
}

// object writes an object: write is called for each selected field whose key has been
// written, and says whether the type has it. weight is what it costs.
func (x *exec) object(kind string, weight float64, fields []*field, write func(f *field) bool) {
	x.actual += weight
	x.w.open('{')
	for _, f := range fields {
		if f.on != "" && f.on != kind && f.on != "Node" {
			continue
		}
		x.w.key(f.key)
		if f.name == "__typename" {
			x.w.b = quote(x.w.b, kind)
		} else if !write(f) {
			x.fail("undefinedField", "Field '%s' doesn't exist on type '%s'", f.name, kind)
			x.null()
		}
	}
	x.w.close('}')
}

func (x *exec) null()          { x.w.b = append(x.w.b, "null"...) }
func (x *exec) int(v int64)    { x.w.b = strconv.AppendInt(x.w.b, v, 10) }
func (x *exec) bool(v bool)    { x.w.b = strconv.AppendBool(x.w.b, v) }
func (x *exec) quote(v string) { x.w.b = quote(x.w.b, v) }

// string writes a text, or null when it is empty.
func (x *exec) string(v string) {
	if v == "" {
		x.null()
		return
	}
	x.quote(v)
}

// time writes a time as GraphQL does, in UTC.
func (x *exec) time(unix int64) {
	if unix == 0 {
		x.null()
		return
	}
	x.w.b = append(x.w.b, '"')
	x.w.b = time.Unix(unix, 0).UTC().AppendFormat(x.w.b, "2006-01-02T15:04:05Z")
	x.w.b = append(x.w.b, '"')
}

func (x *exec) gid(kind string, id int64) {
	x.w.b = append(x.w.b, `"gid://shopify/`...)
	x.w.b = append(x.w.b, kind...)
	x.w.b = append(x.w.b, '/')
	x.w.b = strconv.AppendInt(x.w.b, id, 10)
	x.w.b = append(x.w.b, '"')
}

// list writes n elements.
func (x *exec) list(n int, element func(i int)) {
	x.w.open('[')
	for i := range n {
		x.w.comma()
		element(i)
	}
	x.w.close(']')
}

// decimal is an amount as GraphQL's Decimal prints it: without zeros at the end, but with
// one decimal at least ("199.0").
func (x *exec) decimal(text []byte) {
	x.w.b = append(x.w.b, '"')
	dot := -1
	for i, c := range text {
		if c == '.' {
			dot = i
		}
	}
	if dot < 0 {
		x.w.b = append(append(x.w.b, text...), ".0"...)
	} else {
		end := len(text)
		for end > dot+2 && text[end-1] == '0' {
			end--
		}
		x.w.b = append(x.w.b, text[:end]...)
	}
	x.w.b = append(x.w.b, '"')
}

// bag writes a MoneyBag.
func (x *exec) bag(f *field, minor int64) bool {
	var scratch [24]byte
	return x.bagOf(f, x.s.fixed(scratch[:0], minor))
}

func (x *exec) bagOf(f *field, amount []byte) bool {
	x.object("MoneyBag", 0, f.under, func(f *field) bool {
		if f.name != "shopMoney" && f.name != "presentmentMoney" {
			return false
		}
		x.object("MoneyV2", 0, f.under, func(f *field) bool {
			switch f.name {
			case "amount":
				x.decimal(amount)
			case "currencyCode":
				x.quote(x.s.cfg.Currency)
			default:
				return false
			}
			return true
		})
		return true
	})
	return true
}

// connection writes a part of n things that never change places: nodes, edges and pageInfo.
// Its cursors are positions.
func (x *exec) connection(f *field, kind string, n int, node func(i int, fields []*field)) bool {
	from := 0
	if after := x.text(f, "after"); after != "" {
		at, err := strconv.Atoi(strings.TrimPrefix(after, "at:"))
		if err != nil || at < 0 || at > n {
			x.fail("BAD_REQUEST", "Invalid cursor for current pagination sort.")
			return true
		}
		from = at
	}
	to := min(n, from+x.first(f))
	return x.page(f, kind, to-from, to < n, func(i int) string { return "at:" + strconv.Itoa(from+i+1) },
		func(i int, fields []*field) { node(from+i, fields) })
}

// page writes a connection whose n nodes are chosen already.
func (x *exec) page(f *field, kind string, n int, more bool, cursor func(i int) string, node func(i int, fields []*field)) bool {
	x.actual += 2
	x.object(kind+"Connection", 0, f.under, func(f *field) bool {
		switch f.name {
		case "nodes":
			x.list(n, func(i int) { node(i, f.under) })
		case "edges":
			x.list(n, func(i int) {
				x.object(kind+"Edge", 0, f.under, func(f *field) bool {
					switch f.name {
					case "node":
						node(i, f.under)
					case "cursor":
						x.quote(cursor(i))
					default:
						return false
					}
					return true
				})
			})
		case "pageInfo":
			x.object("PageInfo", 0, f.under, func(f *field) bool {
				switch f.name {
				case "hasNextPage":
					x.bool(more)
				case "hasPreviousPage":
					x.bool(x.text(f, "after") != "")
				case "endCursor", "startCursor":
					switch {
					case n == 0:
						x.null()
					case f.name == "endCursor":
						x.quote(cursor(n - 1))
					default:
						x.quote(cursor(0))
					}
				default:
					return false
				}
				return true
			})
		default:
			return false
		}
		return true
	})
	return true
}

// values are objects that cost nothing: parts of their owner.
var values = map[string]bool{
	"shopMoney": true, "presentmentMoney": true, "pageInfo": true, "taxLines": true, "quantities": true,
	"discountAllocations": true, "discountApplication": true, "accessScopes": true, "userErrors": true,
	"trackingInfo": true, "supportedActions": true, "jobResult": true, "orderCancelUserErrors": true,
	"nodes": true, "edges": true, "node": true, "inventoryAdjustmentGroup": true, "webhookSubscription": true,
}

// cost is what the plan may cost at most, by the formula of the package's documentation.
func (x *exec) cost(p *plan) float64 {
	total := 0.0
	for _, f := range p.fields {
		c := x.costOf(f)
		if p.mutation {
			c = 10
		}
		if f.name == "nodes" {
			ids, _ := x.arg(f, "ids").([]any)
			c = float64(len(ids)) * (1 + x.under(f))
		}
		total += c
	}
	return max(1, total)
}

func (x *exec) costOf(f *field) float64 {
	if len(f.under) == 0 {
		return 0
	}
	if n, ok := whole(x.arg(f, "first")); ok {
		return 2 + float64(n)*(1+x.under(f))
	}
	if values[f.name] || strings.HasSuffix(f.name, "Set") {
		return x.under(f)
	}
	return 1 + x.under(f)
}

func (x *exec) under(f *field) float64 {
	total := 0.0
	for _, u := range f.under {
		total += x.costOf(u)
	}
	return total
}
