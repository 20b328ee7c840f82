package magento

import (
	"strconv"
	"strings"
	"time"
)

// query is the parameters of one call, in order. Names are spelt as the contract spells them
// (filterGroups, conditionType), and every index has one digit; see authorization.
type query []param

// encode is the query as it is sent.
func (q query) encode() string {
	var b strings.Builder
	for i, p := range q {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(p.name) + "=" + escape(p.value))
	}
	return b.String()
}

// search is Magento's search criteria: conditions that all hold, an order and a page. Only
// first pages are asked for.
type search struct {
	where  []condition
	sort   []string // fields, ascending
	size   int
	fields string // what is answered; empty = everything
}

type condition struct{ field, is, value string }

func (s search) query() query {
	var q query
	add := func(name, value string) { q = append(q, param{"searchCriteria" + name, value}) }
	for i, c := range s.where {
		// Conditions of one group are alternatives; groups must all hold.
		at := "[filterGroups][" + strconv.Itoa(i) + "][filters][0]"
		add(at+"[field]", c.field)
		add(at+"[value]", c.value)
		add(at+"[conditionType]", c.is)
	}
	for i, field := range s.sort {
		at := "[sortOrders][" + strconv.Itoa(i) + "]"
		add(at+"[field]", field)
		add(at+"[direction]", "ASC")
	}
	add("[pageSize]", strconv.Itoa(s.size))
	add("[currentPage]", "1")
	if s.fields != "" {
		q = append(q, param{"fields", s.fields})
	}
	return q
}

// stamp is a time as Magento writes and reads it: UTC, without saying so.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
