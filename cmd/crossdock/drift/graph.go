package drift

// GraphQL. A document says itself which fields and arguments it uses; only what stands in its
// variables does not: of that, what our code knows the name of.

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/helloword/crossdock/connectors"
)

// graphs is two schemas side by side, walked for one call, or for the whole.
type graphs struct {
	c         *collector
	call      string
	old, next *ast.Schema
	// words is what our code knows.
	words map[string]bool
	// visited is the input types that were compared.
	visited map[string]bool
}

func (g *graphs) add(f Finding) {
	f.Call = g.call
	g.c.add(f)
}

func compareGraph(c *collector, old, next *ast.Schema, calls []connectors.Endpoint, words map[string]bool) {
	for _, e := range calls {
		if e.Document == "" {
			continue
		}
		c.calls = append(c.calls, e.Name)
		g := &graphs{c, e.Name, old, next, words, map[string]bool{}}
		doc, wrong := gqlparser.LoadQueryWithRules(old, e.Document, rules.NewDefaultRules())
		_, refused := gqlparser.LoadQueryWithRules(next, e.Document, rules.NewDefaultRules())
		if len(wrong) > 0 {
			// It was not written for the old one.
			f := Finding{Impact: Harmless, Change: OperationNew, Place: e.Name, In: "new", Detail: "the old contract refuses the document, the new one takes it: " + wrong[0].Message}
			if len(refused) > 0 {
				f = Finding{Impact: Breaks, Change: DocumentInvalid, Place: e.Name, In: "new", Detail: "both contracts refuse the document: " + refused[0].Message}
			}
			g.add(f)
			continue
		}
		for _, op := range doc.Operations {
			g.variables(op)
			g.selection(op.SelectionSet)
		}
		// Whatever the walk does not know.
		if len(refused) > 0 && !c.breaking(e.Name) {
			g.add(Finding{Impact: Breaks, Change: DocumentInvalid, Place: e.Name, In: "new", Detail: refused[0].Message})
		}
	}
}

// typeOf finds a type in the new schema; the root types by what they are.
func (g *graphs) typeOf(name string) *ast.Definition {
	switch {
	case g.old.Query != nil && name == g.old.Query.Name && g.next.Query != nil:
		return g.next.Query
	case g.old.Mutation != nil && name == g.old.Mutation.Name && g.next.Mutation != nil:
		return g.next.Mutation
	}
	return g.next.Types[name]
}

func (g *graphs) selection(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			g.field(s)
		case *ast.InlineFragment:
			if s.TypeCondition != "" && g.typeOf(s.TypeCondition) == nil {
				g.add(Finding{Impact: Breaks, Change: TypeRemoved, Place: s.TypeCondition, In: "old", Detail: "we ask for its fields"})
				continue
			}
			g.selection(s.SelectionSet)
		case *ast.FragmentSpread:
			if s.Definition != nil {
				g.selection(s.Definition.SelectionSet)
			}
		}
	}
}

func (g *graphs) field(s *ast.Field) {
	if s.ObjectDefinition == nil || s.Definition == nil || len(s.Name) > 1 && s.Name[:2] == "__" {
		return
	}
	owner := s.ObjectDefinition.Name
	place := owner + "." + s.Name
	t := g.typeOf(owner)
	if t == nil {
		g.add(Finding{Impact: Breaks, Change: TypeRemoved, Place: owner, In: "old", Detail: "we read it"})
		return
	}
	n := t.Fields.ForName(s.Name)
	if n == nil {
		g.add(Finding{Impact: Breaks, Change: FieldRemoved, Side: string(response), Field: s.Name, Place: place, In: "old",
			Detail: "we read it" + beside(freshFields(s.ObjectDefinition.Fields, t.Fields))})
		return
	}
	for _, d := range s.Directives {
		g.directive(d)
	}
	g.arguments(s, n, place)
	g.output(s.Definition.Type, n.Type, s.Name, place)
	if n.Directives.ForName("deprecated") != nil && s.Definition.Directives.ForName("deprecated") == nil {
		g.add(Finding{Impact: Look, Change: FieldDeprecated, Side: string(response), Field: s.Name, Place: place, In: "new", Detail: reason(n.Directives)})
	}
	g.enum(s.Definition.Type.Name(), s.Name, response)
	g.selection(s.SelectionSet)
}

func reason(list ast.DirectiveList) string {
	if a := list.ForName("deprecated").Arguments.ForName("reason"); a != nil {
		return a.Value.Raw
	}
	return "the vendor means to take it away"
}

func freshFields(o, n ast.FieldList) (names []string) {
	for _, f := range n {
		if o.ForName(f.Name) == nil {
			names = append(names, f.Name)
		}
	}
	return names
}

// output compares the type of what is read.
func (g *graphs) output(o, n *ast.Type, field, place string) {
	f := Finding{Side: string(response), Field: field, Place: place, In: "new", Detail: o.String() + " → " + n.String()}
	switch same, weaker, stronger := compareTypes(o, n); {
	case !same:
		f.Impact, f.Change = Breaks, FieldRetyped
	case weaker:
		f.Impact, f.Change = Look, FieldNullable
	case stronger:
		f.Impact, f.Change = Harmless, FieldNotNullable
	default:
		return
	}
	g.add(f)
}

// compareTypes says whether two types are the same but for what may be null, and whether
// null became possible or impossible somewhere.
func compareTypes(o, n *ast.Type) (same, weaker, stronger bool) {
	for o != nil && n != nil {
		weaker = weaker || o.NonNull && !n.NonNull
		stronger = stronger || !o.NonNull && n.NonNull
		if o.NamedType != n.NamedType {
			return false, weaker, stronger
		}
		o, n = o.Elem, n.Elem
	}
	return o == nil && n == nil, weaker, stronger
}

func (g *graphs) arguments(s *ast.Field, n *ast.FieldDefinition, place string) {
	for _, a := range s.Arguments {
		at := place + "(" + a.Name + ":)"
		was, is := s.Definition.Arguments.ForName(a.Name), n.Arguments.ForName(a.Name)
		if is == nil {
			var fresh []string
			for _, d := range n.Arguments {
				if s.Definition.Arguments.ForName(d.Name) == nil {
					fresh = append(fresh, d.Name)
				}
			}
			g.add(Finding{Impact: Breaks, Change: ParameterRemoved, Side: string(request), Field: a.Name, Place: at, In: "old", Detail: "we send it" + beside(fresh)})
			continue
		}
		if was != nil {
			g.input(was.Type, is.Type, ParameterRetyped, a.Name, at)
		}
		g.literals(a.Value, at)
	}
	for _, is := range n.Arguments {
		if is.Type.NonNull && is.DefaultValue == nil && s.Arguments.ForName(is.Name) == nil {
			g.add(Finding{Impact: Breaks, Change: ParameterRequired, Side: string(request), Field: is.Name, Place: place + "(" + is.Name + ":)", In: "new", Detail: "required now (" + is.Type.String() + "), and we do not send it"})
		}
	}
}

// input compares the type of what is sent.
func (g *graphs) input(o, n *ast.Type, change Change, field, place string) {
	f := Finding{Impact: Breaks, Change: change, Side: string(request), Field: field, Place: place, In: "new", Detail: o.String() + " → " + n.String()}
	switch same, weaker, stronger := compareTypes(o, n); {
	case !same:
	case stronger:
		f.Impact, f.Change = Look, FieldNotNullable
	case weaker:
		f.Impact, f.Change = Harmless, FieldNullable
	default:
		return
	}
	g.add(f)
}

// literals looks at the values that stand in the document itself.
func (g *graphs) literals(v *ast.Value, at string) {
	if v == nil {
		return
	}
	if v.Kind == ast.EnumValue && v.Definition != nil {
		if n := g.next.Types[v.Definition.Name]; n != nil && n.EnumValues.ForName(v.Raw) == nil {
			g.add(Finding{Impact: Breaks, Change: EnumNarrowed, Side: string(request), Field: at, Place: v.Definition.Name, In: "new", Detail: "without " + v.Raw + ", which we send"})
		}
	}
	for _, c := range v.Children {
		g.literals(c.Value, at)
	}
}

func (g *graphs) directive(d *ast.Directive) {
	was, is := g.old.Directives[d.Name], g.next.Directives[d.Name]
	if was == nil {
		return
	}
	if is == nil {
		g.add(Finding{Impact: Breaks, Change: DirectiveRemoved, Side: string(request), Field: "@" + d.Name, Place: "@" + d.Name, In: "old", Detail: "we send it"})
		return
	}
	for _, a := range d.Arguments {
		at := "@" + d.Name + "(" + a.Name + ":)"
		o, n := was.Arguments.ForName(a.Name), is.Arguments.ForName(a.Name)
		switch {
		case n == nil:
			g.add(Finding{Impact: Breaks, Change: ParameterRemoved, Side: string(request), Field: a.Name, Place: at, In: "old", Detail: "we send it"})
		case o != nil:
			g.input(o.Type, n.Type, ParameterRetyped, a.Name, at)
		}
	}
	for _, n := range is.Arguments {
		if n.Type.NonNull && n.DefaultValue == nil && d.Arguments.ForName(n.Name) == nil {
			g.add(Finding{Impact: Breaks, Change: ParameterRequired, Side: string(request), Field: n.Name, Place: "@" + d.Name + "(" + n.Name + ":)", In: "new", Detail: "required now, and we do not send it"})
		}
	}
}

// variables compares the types of variables, and of what is sent in them.
func (g *graphs) variables(op *ast.OperationDefinition) {
	for _, v := range op.VariableDefinitions {
		g.object(v.Type, v.Variable)
	}
}

// object compares an input type as far as our code knows its members.
func (g *graphs) object(t *ast.Type, at string) {
	name := t.Name()
	for ; t.Elem != nil; t = t.Elem {
		at += element
	}
	o, n := g.old.Types[name], g.next.Types[name]
	switch {
	case o == nil || g.visited[name]:
		return
	case n == nil:
		g.add(Finding{Impact: Breaks, Change: TypeRemoved, Side: string(request), Field: at, Place: name, In: "old", Detail: "we send it"})
		return
	case o.Kind == ast.Enum:
		g.enum(name, at, request)
		return
	case o.Kind != ast.InputObject:
		return
	}
	g.visited[name] = true
	for _, was := range o.Fields {
		if g.words[was.Name] {
			g.member(o, n, was, join(at, was.Name))
		}
	}
	for _, is := range n.Fields {
		f := Finding{Impact: Breaks, Change: FieldRequired, Side: string(request), Field: join(at, is.Name), Place: name + "." + is.Name, In: "new",
			Detail: "required now (" + is.Type.String() + "), and we do not send it"}
		was := o.Fields.ForName(is.Name)
		switch demanded := is.Type.NonNull && is.DefaultValue == nil; {
		case was != nil && g.words[is.Name]:
			continue // compared above
		case was == nil && g.words[is.Name]:
			f.Impact, f.Change, f.Detail = Harmless, FieldNew, "our code knows the name already"
		case !demanded || was != nil && was.Type.NonNull && was.DefaultValue == nil:
			continue
		}
		g.add(f)
	}
}

// member compares one member of an input type that we send.
func (g *graphs) member(o, n *ast.Definition, was *ast.FieldDefinition, path string) {
	place := o.Name + "." + was.Name
	is := n.Fields.ForName(was.Name)
	if is == nil {
		g.add(Finding{Impact: Breaks, Change: FieldRemoved, Side: string(request), Field: path, Place: place, In: "old", Detail: "we send it" + beside(freshFields(o.Fields, n.Fields))})
		return
	}
	g.input(was.Type, is.Type, FieldRetyped, path, place)
	if is.Directives.ForName("deprecated") != nil && was.Directives.ForName("deprecated") == nil {
		g.add(Finding{Impact: Look, Change: FieldDeprecated, Side: string(request), Field: path, Place: place, In: "new", Detail: reason(is.Directives)})
	}
	g.object(was.Type, path)
}

// enum compares the values of one.
func (g *graphs) enum(name, field string, s side) {
	o, n := g.old.Types[name], g.next.Types[name]
	if o == nil || n == nil || o.Kind != ast.Enum || n.Kind != ast.Enum {
		return
	}
	var gone, come []string
	for _, v := range o.EnumValues {
		if n.EnumValues.ForName(v.Name) == nil {
			gone = append(gone, v.Name)
		}
	}
	for _, v := range n.EnumValues {
		if o.EnumValues.ForName(v.Name) == nil {
			come = append(come, v.Name)
		}
	}
	narrowed, widened := Harmless, Look
	if s == request {
		narrowed, widened = Look, Harmless
	}
	if len(gone) > 0 {
		g.add(Finding{Impact: narrowed, Change: EnumNarrowed, Side: string(s), Field: field, Place: name, In: "new", Detail: "without " + some(gone)})
	}
	if len(come) > 0 {
		g.add(Finding{Impact: widened, Change: EnumWidened, Side: string(s), Field: field, Place: name, In: "new", Detail: "with " + some(come)})
	}
}

// wholeGraph finds every change of the schema.
func wholeGraph(c *collector, old, next *ast.Schema) {
	g := &graphs{c: c, old: old, next: next}
	for _, name := range sorted(old.Types) {
		o, n := old.Types[name], g.typeOf(name)
		if o.BuiltIn {
			continue
		}
		if n == nil {
			g.add(Finding{Change: TypeRemoved, Place: name, In: "old"})
			continue
		}
		g.enum(name, "", response)
		g.types(o, n)
	}
	for _, name := range sorted(next.Types) {
		if old.Types[name] == nil && !next.Types[name].BuiltIn && !slices.Contains([]*ast.Definition{next.Query, next.Mutation}, next.Types[name]) {
			g.add(Finding{Change: TypeNew, Place: name, In: "new"})
		}
	}
	for _, name := range sorted(old.Directives) {
		if next.Directives[name] == nil {
			g.add(Finding{Change: DirectiveRemoved, Place: "@" + name, In: "old"})
		}
	}
	for _, name := range sorted(next.Directives) {
		if old.Directives[name] == nil {
			g.add(Finding{Change: DirectiveNew, Place: "@" + name, In: "new"})
		}
	}
}

func (g *graphs) types(o, n *ast.Definition) {
	for _, was := range o.Fields {
		place := o.Name + "." + was.Name
		is := n.Fields.ForName(was.Name)
		if is == nil {
			g.add(Finding{Change: FieldRemoved, Field: was.Name, Place: place, In: "old"})
			continue
		}
		if o.Kind == ast.InputObject {
			g.input(was.Type, is.Type, FieldRetyped, was.Name, place)
		} else {
			g.output(was.Type, is.Type, was.Name, place)
		}
		if is.Directives.ForName("deprecated") != nil && was.Directives.ForName("deprecated") == nil {
			g.add(Finding{Change: FieldDeprecated, Field: was.Name, Place: place, In: "new", Detail: reason(is.Directives)})
		}
		for _, a := range was.Arguments {
			at := fmt.Sprintf("%s(%s:)", place, a.Name)
			if b := is.Arguments.ForName(a.Name); b == nil {
				g.add(Finding{Change: ParameterRemoved, Field: a.Name, Place: at, In: "old"})
			} else {
				g.input(a.Type, b.Type, ParameterRetyped, a.Name, at)
			}
		}
		for _, b := range is.Arguments {
			if was.Arguments.ForName(b.Name) == nil {
				change := ParameterNew
				if b.Type.NonNull && b.DefaultValue == nil {
					change = ParameterRequired
				}
				g.add(Finding{Change: change, Field: b.Name, Place: fmt.Sprintf("%s(%s:)", place, b.Name), In: "new"})
			}
		}
	}
	for _, is := range n.Fields {
		if o.Fields.ForName(is.Name) == nil {
			change := FieldNew
			if o.Kind == ast.InputObject && is.Type.NonNull && is.DefaultValue == nil {
				change = FieldRequired
			}
			g.add(Finding{Change: change, Field: is.Name, Place: o.Name + "." + is.Name, In: "new"})
		}
	}
}
