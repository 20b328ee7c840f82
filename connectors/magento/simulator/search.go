package simulator

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// row is an object that can be searched: its fields as the database has them, and how it is
// answered.
type row struct {
	field func(name string) (text string, ok bool)
	json  func() any
	// picked keeps what was answered for some of its fields; nil = nothing is kept.
	picked *map[string][]byte
}

type filter struct {
	field, is, value string
	// wanted are the values, ready to be compared, and among their texts: of many, most rows have
	// none.
	wanted  []value
	texts   map[string]bool
	numbers map[float64]bool
}

// ready prepares the values once: a list is long.
func (f *filter) ready() {
	texts := []string{f.value}
	if f.is == "in" {
		texts = strings.Split(f.value, ",")
	}
	f.texts, f.numbers = map[string]bool{}, map[float64]bool{}
	for _, t := range texts {
		v := valueOf(t)
		f.wanted = append(f.wanted, v)
		if f.texts[v.text] = true; v.numeric {
			f.numbers[v.number] = true
		}
	}
}

type criteria struct {
	groups map[string][]filter // alternatives
	sort   []filter            // is = direction
	size   int
	page   int
	fields string
}

// readCriteria reads searchCriteria in both spellings that Magento takes (filterGroups and
// filter_groups). An index without a field is ignored, as Magento does.
func readCriteria(q url.Values) (c criteria, err error) {
	c = criteria{groups: map[string][]filter{}, size: 20, page: 1, fields: q.Get("fields")}
	found := map[string]*filter{}
	at := func(place string) *filter {
		if found[place] == nil {
			found[place] = &filter{is: "eq"}
		}
		return found[place]
	}
	for name, values := range q {
		rest, ok := strings.CutPrefix(name, "searchCriteria")
		if !ok {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]"), "][")
		value := values[0]
		switch kind := parts[0]; {
		case kind == "pageSize" || kind == "page_size":
			c.size, err = strconv.Atoi(value)
		case kind == "currentPage" || kind == "current_page":
			c.page, err = strconv.Atoi(value)
		case (kind == "filterGroups" || kind == "filter_groups") && len(parts) == 5:
			f := at("f " + parts[1] + " " + parts[3])
			switch parts[4] {
			case "field":
				f.field = value
			case "value":
				f.value = value
			case "conditionType", "condition_type":
				f.is = value
			}
		case (kind == "sortOrders" || kind == "sort_orders") && len(parts) == 3:
			f := at("s " + parts[1])
			switch parts[2] {
			case "field":
				f.field = value
			case "direction":
				f.is = value
			}
		}
		if err != nil {
			return c, fmt.Errorf("%s: %q is no number", name, value)
		}
	}
	var places []string
	for place := range found {
		places = append(places, place)
	}
	slices.Sort(places)
	for _, place := range places {
		f := *found[place]
		if f.field == "" {
			continue
		}
		f.ready()
		if rest, ok := strings.CutPrefix(place, "f "); ok {
			group, _, _ := strings.Cut(rest, " ")
			c.groups[group] = append(c.groups[group], f)
		} else {
			c.sort = append(c.sort, f)
		}
	}
	return c, nil
}

// value is what a column holds, ready to be compared.
type value struct {
	text    string
	number  float64
	numeric bool
}

func valueOf(text string) (v value) {
	v.text = strings.ToLower(text)
	// A time is no number, and most of what is compared is one.
	if len(text) < 19 {
		n, err := strconv.ParseFloat(text, 64)
		v.number, v.numeric = n, err == nil
	}
	return v
}

// compare compares as MySQL does: numbers as numbers, text without regard to case.
func (v value) compare(w value) int {
	if v.numeric && w.numeric {
		return cmp.Compare(v.number, w.number)
	}
	return strings.Compare(v.text, w.text)
}

func (f *filter) holds(text string) (bool, error) {
	v := valueOf(text)
	if f.is == "in" || f.is == "eq" || f.is == "neq" {
		// A number is compared as one with numbers only.
		same := f.texts[v.text] || v.numeric && f.numbers[v.number]
		return same != (f.is == "neq"), nil
	}
	order := v.compare(f.wanted[0])
	switch f.is {
	case "gt":
		return order > 0, nil
	case "gteq", "from":
		return order >= 0, nil
	case "lt":
		return order < 0, nil
	case "lteq", "to":
		return order <= 0, nil
	}
	return false, fmt.Errorf("condition %q", f.is)
}

// find returns one page, and how many there are altogether.
func (c criteria) find(rows []row) (found []row, total int, err error) {
	for _, r := range rows {
		all := true
		for _, group := range c.groups {
			some := false
			for i := range group {
				f := &group[i]
				text, ok := r.field(f.field)
				if !ok {
					return nil, 0, fmt.Errorf("column %q", f.field)
				}
				yes, err := f.holds(text)
				if err != nil {
					return nil, 0, err
				}
				some = some || yes
			}
			all = all && some
		}
		if all {
			found = append(found, r)
		}
	}
	for _, s := range c.sort {
		if len(rows) > 0 {
			if _, ok := rows[0].field(s.field); !ok {
				return nil, 0, fmt.Errorf("column %q", s.field)
			}
		}
	}
	return c.sorted(found), len(found), nil
}

// sorted orders rows by keys that are made once: a list is long, and asked for often.
func (c criteria) sorted(found []row) []row {
	type keyed struct {
		row
		keys []value
	}
	all := make([]keyed, len(found))
	for i, r := range found {
		all[i] = keyed{r, make([]value, len(c.sort))}
		for n, s := range c.sort {
			text, _ := r.field(s.field)
			all[i].keys[n] = valueOf(text)
		}
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		for n, s := range c.sort {
			if order := a.keys[n].compare(b.keys[n]); order != 0 {
				if strings.EqualFold(s.is, "DESC") {
					return -order
				}
				return order
			}
		}
		return 0
	})
	for i := range all {
		found[i] = all[i].row
	}
	return found
}

// pick is what "fields" leaves of an answer: name, name[name,…].
func pick(v any, fields string) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = pick(v[i], fields)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for fields != "" {
			end := strings.IndexAny(fields, ",[")
			name, inner := fields, ""
			if end >= 0 {
				name = fields[:end]
			}
			fields = strings.TrimPrefix(fields[len(name):], ",")
			if strings.HasPrefix(fields, "[") {
				depth, i := 0, 0
				for ; i < len(fields); i++ {
					if fields[i] == '[' {
						depth++
					} else if fields[i] == ']' {
						if depth--; depth == 0 {
							break
						}
					}
				}
				inner = fields[1:min(i, len(fields))]
				fields = strings.TrimPrefix(fields[min(i+1, len(fields)):], ",")
			}
			value, ok := v[name]
			if !ok {
				continue
			}
			if inner != "" {
				value = pick(value, inner)
			}
			out[name] = value
		}
		return out
	}
	return v
}
