package simulator

import (
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

// maxRequest bounds a request's body.
const maxRequest = 8 << 20

// root is where the API begins.
const root = "/wp-json/wc/v3/"

// refusal is how the API says no.
type refusal struct {
	status        int
	code, message string
}

func no(status int, code, message string) *refusal { return &refusal{status, code, message} }

// request is one call under mu.
type request struct {
	method, path string
	query        url.Values
	body         []byte
}

// reply is its answer. pages is that of lists.
type reply struct {
	status       int
	body         []byte
	total, pages int
	mail         []*delivery
	// wrote: something was carried out.
	wrote bool
}

// ServeHTTP answers the REST API of this shop.
func (s *Simulator) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	h := rw.Header()
	s.mu.Lock()
	s.stats.Calls++
	h.Set("Date", time.Unix(s.now(), 0).UTC().Format(http.TimeFormat))
	page := func(status int, text string) {
		s.mu.Unlock()
		h.Set("Content-Type", "text/html; charset=UTF-8")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, "<!DOCTYPE html><html><body>"+text+"</body></html>")
	}
	f := s.faults
	open, wait := true, time.Second
	if !f.Outage {
		if open, wait = s.door.Pass(s.cfg.Now()); s.hit(f.Throttle) {
			open, wait = false, time.Second
		}
	}
	switch {
	case f.Outage || s.hit(f.FailBefore):
		page(http.StatusServiceUnavailable, "Service unavailable")
		return
	case !open:
		s.stats.Throttled++
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
		page(http.StatusTooManyRequests, "Too many requests")
		return
	case s.hit(f.HTML):
		page(http.StatusOK, "Checking your browser")
		return
	case s.hit(f.Redirect):
		h.Set("Location", "/wp-login.php")
		page(http.StatusFound, "")
		return
	case !strings.HasPrefix(r.URL.Path, root):
		page(http.StatusNotFound, "Not found")
		return
	}
	a, refused := s.answer(r, body)
	if refused == nil && a.wrote && s.hit(s.faults.FailAfter) {
		s.stats.FailedAfter++
		page(http.StatusBadGateway, "Bad gateway")
		s.mail.Deliver(a.mail)
		return
	}
	s.mu.Unlock()
	s.mail.Deliver(a.mail)
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Cache-Control", "no-cache, must-revalidate, max-age=0, no-store, private")
	if refused != nil {
		rw.WriteHeader(refused.status)
		_, _ = rw.Write(php(map[string]any{"code": refused.code, "message": refused.message, "data": map[string]int{"status": refused.status}}))
		return
	}
	if a.pages >= 0 {
		h.Set("X-WP-Total", strconv.Itoa(a.total))
		h.Set("X-WP-TotalPages", strconv.Itoa(a.pages))
	}
	rw.WriteHeader(a.status)
	_, _ = rw.Write(a.body)
}

// answer runs one call under mu.
func (s *Simulator) answer(r *http.Request, body []byte) (reply, *refusal) {
	query := r.URL.Query()
	if refused := s.authenticate(r, query); refused != nil {
		return reply{}, refused
	}
	q := request{r.Method, strings.TrimPrefix(r.URL.Path, root), query, body}
	if r.Method != http.MethodGet && s.cfg.ReadOnly {
		return reply{}, no(http.StatusUnauthorized, "woocommerce_rest_authentication_error", "The API key provided does not have write permissions.")
	}
	for _, rt := range s.table {
		m := rt.path.FindStringSubmatch(q.path)
		if m == nil || rt.method != q.method {
			continue
		}
		a, refused := rt.run(q, m[1:])
		if refused == nil && query.Get("_fields") != "" {
			a.body = fields(a.body, strings.Split(query.Get("_fields"), ","))
		}
		return a, refused
	}
	return reply{}, no(http.StatusNotFound, "rest_no_route", "No route was found matching the URL and request method.")
}

type route struct {
	method string
	path   *regexp.Regexp
	run    func(q request, m []string) (reply, *refusal)
}

func (s *Simulator) routes() []route {
	at := func(method, pattern string, run func(q request, m []string) (reply, *refusal)) route {
		return route{method, regexp.MustCompile("^" + pattern + "$"), run}
	}
	all := []route{
		at("GET", "orders", s.listOrders),
		at("GET", `orders/(\d+)`, s.getOrder),
		at("PUT", `orders/(\d+)`, s.putOrder),
		at("GET", `orders/(\d+)/refunds`, s.listRefunds),
		at("POST", `orders/(\d+)/refunds`, s.postRefund),
		at("GET", `orders/(\d+)/notes`, s.listNotes),
		at("POST", `orders/(\d+)/notes`, s.postNote),
		at("GET", "products", s.listProducts),
		at("POST", "products/batch", s.batchProducts),
		at("GET", `products/(\d+)/variations`, s.listVariations),
		at("POST", `products/(\d+)/variations/batch`, s.batchVariations),
		at("GET", "webhooks", s.listWebhooks),
		at("POST", "webhooks", s.postWebhook),
		at("PUT", `webhooks/(\d+)`, s.putWebhook),
		at("GET", `settings/(\w+)/(\w+)`, s.getSetting),
	}
	if !s.cfg.NoVariationsList {
		all = append(all, at("GET", "variations", s.listVariations))
	}
	return all
}

// list is one page of what there is: items in their order, of which the page is encoded.
func list[T any](q request, items []T, encode func(T) []byte) (reply, *refusal) {
	return paged(q, len(items), func(from, n int) []T { return items[from:min(len(items), from+n)] }, encode)
}

// paged is list for those who find a page without making the whole.
func paged[T any](q request, total int, of func(from, n int) []T, encode func(T) []byte) (reply, *refusal) {
	number := func(name string, otherwise, most int) (int, *refusal) {
		text := q.query.Get(name)
		if text == "" {
			return otherwise, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return 0, no(http.StatusBadRequest, "rest_invalid_param", "Invalid parameter(s): "+name)
		}
		return n, nil
	}
	size, refused := number("per_page", 10, 100)
	if refused != nil {
		return reply{}, refused
	}
	page, refused := number("page", 1, 1<<30)
	if refused != nil {
		return reply{}, refused
	}
	a := reply{status: http.StatusOK, total: total, pages: (total + size - 1) / size}
	from := min(total, (page-1)*size)
	b := []byte{'['}
	for i, it := range of(from, size) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, encode(it)...)
	}
	a.body = append(b, ']')
	return a, nil
}

// document is an answer that is no list.
func document(status int, body []byte) (reply, *refusal) {
	return reply{status: status, body: body, pages: -1}, nil
}

// fields leaves the named members of a document, or of a list's documents.
func fields(body []byte, names []string) []byte {
	var many []map[string]json.RawMessage
	var one map[string]json.RawMessage
	if json.Unmarshal(body, &one) == nil {
		many = []map[string]json.RawMessage{one}
	} else if json.Unmarshal(body, &many) != nil {
		return body
	}
	b := []byte{}
	for i, m := range many {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		first := true
		for _, name := range names {
			v, ok := m[name]
			if !ok {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = fmt.Appendf(b, "%q:%s", name, v)
		}
		b = append(b, '}')
	}
	if one != nil {
		return b
	}
	return append(append([]byte{'['}, b...), ']')
}

// ids reads a list of ids.
func ids(text string) (all []int64) {
	for _, part := range strings.Split(text, ",") {
		if n, err := strconv.ParseInt(part, 10, 64); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// window reads modified_after and modified_before, both of which leave their own second out.
func (s *Simulator) window(q url.Values) (after, before int64, refused *refusal) {
	if after, refused = s.bound(q, "modified_after", 0); refused != nil {
		return 0, 0, refused
	}
	before, refused = s.bound(q, "modified_before", math.MaxInt64)
	return after, before, refused
}

// bound reads a time as WordPress does: one without a zone is the shop's own, one with a zone
// is turned into the shop's own. What comes out is compared with the column of the shop's own
// time, or under dates_are_gmt, as it stands, with the column of UTC.
func (s *Simulator) bound(q url.Values, name string, none int64) (int64, *refusal) {
	text := q.Get(name)
	if text == "" {
		return none, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if at, err = time.ParseInLocation("2006-01-02T15:04:05", text, s.cfg.Zone); err != nil {
			return 0, no(http.StatusBadRequest, "rest_invalid_param", "Invalid parameter(s): "+name)
		}
	}
	if q.Get("dates_are_gmt") != "true" {
		return at.Unix(), nil
	}
	_, ahead := at.In(s.cfg.Zone).Zone()
	return at.Unix() + int64(ahead), nil
}

func (s *Simulator) listOrders(q request, _ []string) (reply, *refusal) {
	after, before, refused := s.window(q.query)
	if refused != nil {
		return reply{}, refused
	}
	status := q.query.Get("status")
	exclude := ids(q.query.Get("exclude"))
	if q.query.Get("orderby") == "modified" && q.query.Get("order") == "asc" && s.trashed == 0 && status != "trash" {
		// There may be very many, and each page asks anew.
		changes := s.byUpdate.since(after)
		changes = changes[:sort.Search(len(changes), func(i int) bool { return changes[i].at >= before })]
		total := len(changes)
		for _, id := range exclude {
			if o := s.orders[id]; o != nil && o.updated > after && o.updated < before {
				total--
			}
		}
		return paged(q, total, func(from, n int) (found []*order) {
			for _, c := range changes {
				if slices.Contains(exclude, c.v.id) {
					continue
				}
				if from--; from < 0 {
					found = append(found, c.v)
				}
				if len(found) == n {
					break
				}
			}
			return found
		}, s.orderJSON)
	}
	source := s.inOrder
	if q.query.Get("orderby") == "modified" {
		source = s.byUpdate.after(after)
	}
	var found []*order
	for _, o := range source {
		if (o.status == "trash") != (status == "trash") || o.updated <= after || o.updated >= before || slices.Contains(exclude, o.id) {
			continue
		}
		found = append(found, o)
	}
	if q.query.Get("order") != "asc" {
		slices.Reverse(found)
	}
	return list(q, found, s.orderJSON)
}

// row is a product or one of its variations.
type row struct {
	p *product
	v *variant
}

func (r row) id() int64 {
	if r.v != nil {
		return r.v.id
	}
	return r.p.id
}

func (r row) modified() int64 {
	if r.v != nil {
		return r.v.modified
	}
	return r.p.updated
}

func (s *Simulator) rows(q request, source []row) ([]row, *refusal) {
	after, before, refused := s.window(q.query)
	if refused != nil {
		return nil, refused
	}
	include, exclude := ids(q.query.Get("include")), ids(q.query.Get("exclude"))
	trash := q.query.Get("status") == "trash"
	var found []row
	for _, r := range source {
		if r.p.trashed != trash || r.modified() <= after || r.modified() >= before || slices.Contains(exclude, r.id()) || include != nil && !slices.Contains(include, r.id()) {
			continue
		}
		found = append(found, r)
	}
	slices.SortStableFunc(found, func(a, b row) int {
		if q.query.Get("orderby") == "modified" && a.modified() != b.modified() {
			return int(a.modified() - b.modified())
		}
		return int(a.id() - b.id())
	})
	if q.query.Get("order") != "asc" {
		slices.Reverse(found)
	}
	return found, nil
}

func (s *Simulator) listProducts(q request, _ []string) (reply, *refusal) {
	source := make([]row, len(s.products))
	for i, p := range s.products {
		source[i] = row{p: p}
	}
	found, refused := s.rows(q, source)
	if refused != nil {
		return reply{}, refused
	}
	return list(q, found, func(r row) []byte { return s.productJSON(r.p, nil, false) })
}

func (s *Simulator) listVariations(q request, m []string) (reply, *refusal) {
	products := s.products
	if len(m) > 0 {
		p := s.byID[parse(m[0])]
		if p == nil {
			return reply{}, no(http.StatusNotFound, "woocommerce_rest_product_invalid_id", "Invalid ID.")
		}
		products = []*product{p}
	}
	var source []row
	for _, p := range products {
		for _, v := range p.variants {
			if p.variable {
				source = append(source, row{p, v})
			}
		}
	}
	found, refused := s.rows(q, source)
	if refused != nil {
		return reply{}, refused
	}
	return list(q, found, func(r row) []byte { return s.productJSON(r.p, r.v, false) })
}

func parse(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (s *Simulator) getOrder(_ request, m []string) (reply, *refusal) {
	o := s.orders[parse(m[0])]
	if o == nil {
		return reply{}, no(http.StatusNotFound, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
	}
	return document(http.StatusOK, s.orderJSON(o))
}

func (s *Simulator) listRefunds(q request, m []string) (reply, *refusal) {
	o := s.orders[parse(m[0])]
	if o == nil {
		return reply{}, no(http.StatusNotFound, "woocommerce_rest_invalid_order_id", "Invalid order ID.")
	}
	all := slices.Clone(o.refunds)
	if q.query.Get("order") != "asc" {
		slices.Reverse(all)
	}
	return list(q, all, s.refundJSON)
}

func (s *Simulator) getSetting(_ request, m []string) (reply, *refusal) {
	stock := "yes"
	if s.cfg.NoStockManagement {
		stock = "no"
	}
	storage := "yes"
	if s.cfg.OrdersInPosts {
		storage = "no"
	}
	value, ok := map[string]string{
		"products/woocommerce_manage_stock": stock, "general/woocommerce_currency": s.cfg.Currency,
		"general/woocommerce_price_num_decimals": strconv.Itoa(s.exponent), "advanced/woocommerce_custom_orders_table_enabled": storage,
	}[m[0]+"/"+m[1]]
	if !ok {
		return reply{}, no(http.StatusNotFound, "rest_setting_setting_invalid", "Invalid setting.")
	}
	return document(http.StatusOK, php(map[string]string{"id": m[1], "value": value}))
}
