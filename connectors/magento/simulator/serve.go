package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// reply is what a call is answered with.
type reply struct {
	status int
	body   any
}

// fail is an error as Magento answers it: a template and what stands for %1 and so on.
func fail(status int, template string, parameters ...any) reply {
	body := object{"message": template}
	if len(parameters) > 0 {
		body["parameters"] = parameters
	}
	return reply{status, body}
}

// route is one operation, and the resource that it needs.
type route struct {
	method, pattern, resource string
	writes                    bool
	answer                    func(s *Simulator, c *call) reply
	path                      *regexp.Regexp // made of pattern
}

// call is one request.
type call struct {
	args  []string
	query url.Values
	body  []byte
}

func (c *call) id() int64 {
	id, _ := strconv.ParseInt(c.args[0], 10, 64)
	return id
}

func routes() []route {
	all := []route{
		{"GET", `/orders`, "Magento_Sales::actions_view", false, (*Simulator).listOrders, nil},
		{"GET", `/orders/(\d+)`, "Magento_Sales::actions_view", false, (*Simulator).getOrder, nil},
		{"GET", `/shipments`, "Magento_Sales::shipment", false, (*Simulator).listShipments, nil},
		{"GET", `/creditmemos`, "Magento_Sales::sales_creditmemo", false, (*Simulator).listMemos, nil},
		{"GET", `/invoices`, "Magento_Sales::sales_invoice", false, (*Simulator).listInvoices, nil},
		{"GET", `/products`, "Magento_Catalog::products", false, (*Simulator).listProducts, nil},
		{"GET", `/inventory/source-items`, "Magento_InventoryApi::source", false, (*Simulator).listSourceItems, nil},
		{"POST", `/inventory/source-items`, "Magento_InventoryApi::source", true, (*Simulator).saveSourceItems, nil},
		{"GET", `/inventory/sources/([^/]+)`, "Magento_InventoryApi::source", false, (*Simulator).getSource, nil},
		{"GET", `/inventory/get-product-salable-quantity/([^/]+)/(\d+)`, "Magento_InventoryApi::stock", false, (*Simulator).getSalable, nil},
		{"GET", `/store/storeConfigs`, "Magento_Backend::store", false, (*Simulator).storeConfigs, nil},
		{"POST", `/order/(\d+)/ship`, "Magento_Sales::ship", true, (*Simulator).postShip, nil},
		{"POST", `/orders/(\d+)/cancel`, "Magento_Sales::cancel", true, (*Simulator).postCancel, nil},
		{"POST", `/order/(\d+)/refund`, "Magento_Sales::creditmemo", true, (*Simulator).postRefund, nil},
		{"POST", `/invoice/(\d+)/refund`, "Magento_Sales::creditmemo", true, (*Simulator).postInvoiceRefund, nil},
		{"POST", `/products/base-prices`, "Magento_Catalog::products", true, (*Simulator).postPrices, nil},
		{"POST", `/products/base-prices-information`, "Magento_Catalog::products", false, (*Simulator).pricesOf, nil},
	}
	for i := range all {
		all[i].path = regexp.MustCompile("^" + all[i].pattern + "$")
	}
	return all
}

var anchored = regexp.MustCompile(`^/(?:rest/(?:([A-Za-z0-9_]+)/)?)?V1(/.*)$`)

// ServeHTTP answers as the shop does.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		http.Error(w, "reading the body", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Calls++
	w.Header().Set("Date", time.Unix(s.now(), 0).UTC().Format(http.TimeFormat))
	if f := s.faults; f.Outage || s.hit(f.FailBefore) || s.hit(f.HTML) {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		if f.Outage || f.HTML == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "<!doctype html><title>Service Temporarily Unavailable</title>")
		return
	}
	open, wait := s.door.Pass(s.cfg.Now())
	if s.hit(s.faults.Throttle) {
		open, wait = false, time.Second
	}
	if !open {
		s.stats.Throttled++
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
		s.send(w, reply{http.StatusTooManyRequests, object{"message": "Too Many Requests"}})
		return
	}
	s.send(w, s.answer(r, body))
}

func (s *Simulator) send(w http.ResponseWriter, a reply) {
	text, err := json.Marshal(a.body)
	if err != nil {
		panic(err) // maps of text and numbers
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	if _, err := w.Write(text); err != nil {
		return // the caller is gone
	}
}

func (s *Simulator) answer(r *http.Request, body []byte) reply {
	if r.URL.Path == "/ims/token/v3" && r.Method == http.MethodPost {
		return s.imsToken(body)
	}
	m := anchored.FindStringSubmatch(r.URL.EscapedPath())
	if m == nil {
		return fail(http.StatusNotFound, "Request does not match any route.")
	}
	if m[2] == "/integration/admin/token" && r.Method == http.MethodPost {
		return s.adminToken(body)
	}
	for _, rt := range s.table {
		found := rt.path.FindStringSubmatch(m[2])
		if rt.method != r.Method || found == nil {
			continue
		}
		if refused := s.authentic(r); refused != nil {
			return *refused
		}
		for _, denied := range s.cfg.Denied {
			if denied == rt.resource {
				return reply{http.StatusUnauthorized, object{"message": "The consumer isn't authorized to access %resources.", "parameters": object{"resources": rt.resource}}}
			}
		}
		c := &call{query: r.URL.Query(), body: body}
		for _, arg := range found[1:] {
			text, err := url.PathUnescape(arg)
			if err != nil {
				return fail(http.StatusBadRequest, "Bad path")
			}
			c.args = append(c.args, text)
		}
		a := rt.answer(s, c)
		if rt.writes && a.status == http.StatusOK && s.hit(s.faults.FailAfter) {
			s.stats.FailedAfter++
			return reply{http.StatusBadGateway, object{"message": "Bad Gateway"}}
		}
		return a
	}
	return fail(http.StatusNotFound, "Request does not match any route.")
}

// list answers a search.
func (s *Simulator) list(c *call, rows []row) reply {
	crit, err := readCriteria(c.query)
	if err != nil {
		return fail(http.StatusBadRequest, "%1", err.Error())
	}
	if s.cfg.InputLimits && crit.size > 300 {
		return fail(http.StatusBadRequest, "Maximum SearchCriteria pageSize is %1", 300)
	}
	found, total, err := crit.find(rows)
	if err != nil {
		// MySQL's complaint does not reach the caller.
		return fail(http.StatusInternalServerError, "Internal Error. Details are available in Magento log file. Report ID: webapi-%1", "0")
	}
	return s.page(crit, found, total)
}

// page is the answer of a search that found so many.
func (s *Simulator) page(crit criteria, found []row, total int) reply {
	if crit.size > 0 {
		from := (max(crit.page, 1) - 1) * crit.size
		if from >= len(found) && s.cfg.OldPaging && total > 0 {
			from = (total - 1) / crit.size * crit.size
		}
		from = min(from, len(found))
		found = found[from:min(len(found), from+crit.size)]
	}
	inner, some := picks(crit.fields)
	items := make([]any, len(found))
	for i, r := range found {
		switch {
		case !some:
			items[i] = r.json()
		case r.picked == nil:
			items[i] = pick(plain(r.json()), inner)
		default:
			if (*r.picked)[inner] == nil {
				text, err := json.Marshal(pick(plain(r.json()), inner))
				if err != nil {
					panic(err) // what plain has read
				}
				if *r.picked == nil {
					*r.picked = map[string][]byte{}
				}
				(*r.picked)[inner] = text
			}
			items[i] = json.RawMessage((*r.picked)[inner])
		}
	}
	if some {
		body := object{"items": items, "total_count": total}
		if len(items) == 0 {
			body["items"] = nil
		}
		return reply{http.StatusOK, body}
	}
	body := object{"items": items, "search_criteria": object{"filter_groups": []any{}}, "total_count": total}
	if crit.fields != "" {
		if len(items) == 0 {
			body["items"] = nil
		}
		return reply{http.StatusOK, pick(plain(body), crit.fields)}
	}
	return reply{http.StatusOK, body}
}

// picks reads the one shape of fields that is asked for again and again: some members of each
// item, and how many there are.
func picks(fields string) (inner string, ok bool) {
	inner, ok = strings.CutPrefix(fields, "items[")
	if !ok {
		return "", false
	}
	if inner, ok = strings.CutSuffix(inner, "],total_count"); !ok {
		return "", false
	}
	depth := 0
	for _, c := range inner {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		}
		if depth < 0 {
			return "", false // the items ended before
		}
	}
	return inner, depth == 0
}

// plain is a body as its reader has it, for pick to cut.
func plain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of text and numbers
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

func digits(n int64) string { return strconv.FormatInt(n, 10) }

// listOrders finds what changed since a time by a search, and not by looking at every order: a
// shop has many, and is asked for each page of them.
func (s *Simulator) listOrders(c *call) reply {
	crit, err := readCriteria(c.query)
	if err != nil {
		return fail(http.StatusBadRequest, "%1", err.Error())
	}
	all, changed := s.byUpdate(), len(crit.groups) > 0
	for _, group := range crit.groups {
		f := group[0]
		if changed = changed && len(group) == 1 && f.field == "updated_at" && (f.is == "gteq" || f.is == "gt"); !changed {
			continue
		}
		all = all[sort.Search(len(all), func(i int) bool { yes, _ := f.holds(clock(all[i].updated)); return yes }):]
	}
	switch {
	case len(crit.groups) != 1 || !changed:
		return s.list(c, s.orderRows(s.orders))
	case crit.page > 1 || crit.size == 0 || s.cfg.InputLimits && crit.size > 300 || len(crit.sort) == 0 || !crit.oldestFirst():
		return s.list(c, s.orderRows(all))
	}
	return s.page(crit, s.orderRows(all[:min(len(all), crit.size)]), len(all))
}

// oldestFirst: it is to be sorted by the time of change, and by id.
func (c criteria) oldestFirst() bool {
	for i, s := range c.sort {
		if i > 1 || s.field != []string{"updated_at", "entity_id"}[i] || strings.EqualFold(s.is, "DESC") {
			return false
		}
	}
	return true
}

// byUpdate is all orders by the time of their change, and by id.
func (s *Simulator) byUpdate() []*order {
	if s.touched {
		s.touched = false
		s.updates = append(s.updates[:0], s.orders...)
		slices.SortStableFunc(s.updates, func(a, b *order) int { return cmp.Compare(a.updated, b.updated) })
	}
	return s.updates
}

func (s *Simulator) orderRows(of []*order) []row {
	rows := make([]row, len(of))
	for i, o := range of {
		rows[i] = row{func(name string) (string, bool) {
			switch name {
			case "entity_id":
				return digits(o.id), true
			case "updated_at":
				return clock(o.updated), true
			case "created_at":
				return clock(o.created), true
			case "state":
				return o.state, true
			case "increment_id":
				return o.name, true
			}
			return "", false
		}, func() any { return s.orderJSON(o) }, &o.picked}
	}
	return rows
}

func (s *Simulator) getOrder(c *call) reply {
	if o := s.orderBy[c.id()]; o != nil {
		return reply{http.StatusOK, s.orderJSON(o)}
	}
	return fail(http.StatusNotFound, "The entity that was requested doesn't exist. Verify the entity and try again.")
}

func (s *Simulator) listShipments(c *call) reply {
	rows := make([]row, len(s.shipped))
	for i, sh := range s.shipped {
		rows[i] = row{part(sh.id, sh.order.id, sh.created), func() any { return s.shipmentJSON(sh) }, nil}
	}
	return s.list(c, rows)
}

func (s *Simulator) listMemos(c *call) reply {
	rows := make([]row, len(s.memos))
	for i, m := range s.memos {
		rows[i] = row{part(m.id, m.order.id, m.created), func() any { return s.memoJSON(m) }, nil}
	}
	return s.list(c, rows)
}

func (s *Simulator) listInvoices(c *call) reply {
	rows := make([]row, len(s.invoices))
	for i, v := range s.invoices {
		rows[i] = row{part(v.id, v.order.id, v.created), func() any { return s.invoiceJSON(v) }, nil}
	}
	return s.list(c, rows)
}

func part(id, order, at int64) func(string) (string, bool) {
	return func(name string) (string, bool) {
		switch name {
		case "entity_id":
			return digits(id), true
		case "order_id":
			return digits(order), true
		case "updated_at", "created_at":
			return clock(at), true
		}
		return "", false
	}
}

func (s *Simulator) listProducts(c *call) reply {
	rows := make([]row, len(s.products))
	for i, p := range s.products {
		rows[i] = row{func(name string) (string, bool) {
			switch name {
			case "entity_id":
				return digits(p.id), true
			case "sku":
				return p.sku, true
			case "updated_at":
				return clock(p.updated), true
			case "type_id":
				return p.kind, true
			}
			return "", false
		}, func() any { return s.productJSON(p) }, nil}
	}
	return s.list(c, rows)
}

func (s *Simulator) storeConfigs(*call) reply {
	const here = "http://shop.example/"
	return reply{http.StatusOK, []any{object{"id": 1, "code": "default", "website_id": 1, "locale": "en_US", "base_currency_code": s.cfg.Currency,
		"default_display_currency_code": s.cfg.Currency, "timezone": s.cfg.Zone, "weight_unit": "kgs", "base_url": here, "base_link_url": here, "base_static_url": here + "static/", "base_media_url": here + "media/",
		"secure_base_url": here, "secure_base_link_url": here, "secure_base_static_url": here + "static/", "secure_base_media_url": here + "media/"}}}
}
