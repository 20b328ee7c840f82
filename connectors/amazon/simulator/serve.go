package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors/mailroom"
)

// maxRequest bounds a request's body.
const maxRequest = 1 << 20

// reply is an answer on its way out.
type reply struct {
	code int
	body any
	// op, when there is one, tells its rate.
	op   string
	rate float64
}

func refusal(code int, name, message string) reply {
	return reply{code: code, body: object{"errors": []object{{"code": name, "message": message, "details": ""}}}}
}

// ServeHTTP answers the API, the token endpoint, the queue and the download of reports.
func (s *Simulator) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h := rw.Header()
	s.mu.Lock()
	h.Set("Date", time.Unix(s.now(), 0).UTC().Format(http.TimeFormat))
	out := s.faults.Outage
	s.mu.Unlock()
	if out {
		page(rw, http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		s.serveQueue(rw, r, body)
	case r.URL.Path == "/auth/o2/token":
		s.serveToken(rw, r, body)
	case strings.HasPrefix(r.URL.Path, uploadPath), strings.HasPrefix(r.URL.Path, feedReportPath):
		s.serveFeeds(rw, r, body)
	case strings.HasPrefix(r.URL.Path, documentPath):
		s.serveDocument(rw, r)
	default:
		s.serveAPI(rw, r, body)
	}
}

func page(rw http.ResponseWriter, code int) {
	rw.Header().Set("Content-Type", "text/html")
	rw.WriteHeader(code)
	_, _ = io.WriteString(rw, "<html><body>Service unavailable</body></html>")
}

func write(rw http.ResponseWriter, code int, body any) {
	if code == http.StatusNoContent {
		rw.WriteHeader(code)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(code)
	_ = json.NewEncoder(rw).Encode(body)
}

// grant is an access token that works.
type grant struct {
	until time.Time
	scope string
}

func (s *Simulator) serveToken(rw http.ResponseWriter, r *http.Request, body []byte) {
	refuse := func(code int, name string) {
		write(rw, code, object{"error": name, "error_description": "refused by the simulator"})
	}
	form, err := url.ParseQuery(string(body))
	if r.Method != http.MethodPost || err != nil {
		refuse(http.StatusBadRequest, "invalid_request")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if form.Get("client_id") != s.cfg.ClientID || form.Get("client_secret") != s.cfg.ClientSecret {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	g := grant{until: s.cfg.Now().Add(s.cfg.TokenLife)}
	answer := object{"token_type": "bearer"}
	switch form.Get("grant_type") {
	case "refresh_token":
		if form.Get("refresh_token") != s.cfg.RefreshToken {
			refuse(http.StatusBadRequest, "invalid_grant")
			return
		}
		answer["refresh_token"] = s.cfg.RefreshToken
	case "client_credentials":
		if g.scope = form.Get("scope"); g.scope != "sellingpartnerapi::notifications" {
			refuse(http.StatusBadRequest, "invalid_scope")
			return
		}
	default:
		refuse(http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	token := "Atza|" + s.uuid()
	s.access[token] = g
	answer["access_token"] = token
	if !s.cfg.OmitExpiry {
		answer["expires_in"] = int64(s.cfg.TokenLife / time.Second)
	}
	s.stats.Refreshes++
	write(rw, http.StatusOK, answer)
}

// RevokeTokens makes every access token invalid.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
}

// Withdraw takes the seller's authorisation back: no token is given any more.
func (s *Simulator) Withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
	s.cfg.RefreshToken = "Atzr|" + s.uuid()
}

// limits is rate and burst of each operation, as Amazon publishes them.
func limits(op string) (rate, burst float64) {
	switch op {
	case "searchOrders":
		return 0.0056, 20
	case "getOrder":
		return 0.5, 30
	case "confirmShipment":
		return 2, 10
	case "getInventorySummaries":
		return 2, 2
	case "getReport":
		return 2, 15
	case "createReport", "getReportDocument":
		return 0.0167, 15
	case "createFeed":
		return 0.0083, 15
	case "getFeed":
		return 2, 15
	case "getFeeds", "getFeedDocument":
		return 0.0222, 10
	case "createFeedDocument":
		return 0.5, 15
	case "listTransactions":
		return 0.5, 10
	case "getMarketplaceParticipations":
		return 0.016, 15
	case "getSubscription", "createSubscription", "getDestinations", "createDestination", "deleteSubscriptionById":
		return 1, 5
	}
	return 5, 5 // Listings Items
}

// take spends one call of an operation.
func (s *Simulator) take(op string) bool {
	if s.hit(s.faults.Throttle) {
		return false
	}
	if !s.cfg.Limits {
		return true
	}
	ok, _ := s.bucket(op).Pass(s.cfg.Now())
	return ok
}

// bucket is the quota of one operation. Callers hold mu.
func (s *Simulator) bucket(op string) *mailroom.Turnstile {
	if s.buckets[op] == nil {
		rate, burst := limits(op)
		s.buckets[op] = &mailroom.Turnstile{Rate: rate * s.share, Burst: burst * s.share}
	}
	return s.buckets[op]
}

// ScaleLimits changes all quotas from now on, rate and burst, to a share of the published ones.
func (s *Simulator) ScaleLimits(share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.share = share
	for op, b := range s.buckets {
		rate, burst := limits(op)
		b.Limit(s.cfg.Now(), rate*share, burst*share)
	}
}

// route is one operation of the API.
type route struct {
	op, scope string
	writes    bool
	serve     func(q url.Values, body []byte) reply
}

func (s *Simulator) serveAPI(rw http.ResponseWriter, r *http.Request, body []byte) {
	s.mu.Lock()
	answer, html := s.api(r, body)
	s.mu.Unlock()
	if html {
		page(rw, answer.code)
		return
	}
	if answer.op != "" {
		rw.Header().Set("X-Amzn-Ratelimit-Limit", strconv.FormatFloat(answer.rate, 'f', -1, 64))
	}
	rw.Header().Set("X-Amzn-Requestid", r.Header.Get("X-Amz-Date"))
	write(rw, answer.code, answer.body)
}

// api answers one call, under mu.
func (s *Simulator) api(r *http.Request, body []byte) (answer reply, html bool) {
	at := s.find(r)
	if at == nil {
		return refusal(http.StatusNotFound, "NotFound", "Resource not found"), false
	}
	s.stats.Calls[at.op]++
	s.process()
	g, known := s.access[r.Header.Get("X-Amz-Access-Token")]
	switch {
	case r.Header.Get("X-Amz-Access-Token") == "":
		return refusal(http.StatusForbidden, "MissingAuthenticationToken", "Missing Authentication Token"), false
	case !known:
		return refusal(http.StatusForbidden, unauthorised, "The access token you provided is revoked, malformed or invalid."), false
	case !s.cfg.Now().Before(g.until):
		return refusal(http.StatusForbidden, unauthorised, "The access token you provided has expired."), false
	case g.scope != at.scope:
		return refusal(http.StatusForbidden, unauthorised, "Access to requested resource is denied."), false
	}
	if !s.take(at.op) {
		s.stats.Throttled++
		s.stats.Refused[at.op]++
		return refusal(http.StatusTooManyRequests, "QuotaExceeded", "You exceeded your quota for the requested resource."), false
	}
	if s.hit(s.faults.FailBefore) {
		return refusal(http.StatusServiceUnavailable, "ServiceUnavailable", "We are sorry, try again."), false
	}
	if s.hit(s.faults.HTML) {
		return reply{code: http.StatusOK}, true
	}
	answer = at.serve(r.URL.Query(), body)
	if at.writes && answer.code < 300 && s.hit(s.faults.FailAfter) {
		return refusal(http.StatusInternalServerError, "InternalFailure", "We encountered an internal error. Please try again."), false
	}
	rate, _ := limits(at.op)
	answer.op, answer.rate = at.op, rate*s.share
	return answer, false
}

// unauthorised is how Amazon calls every refusal with 403.
const unauthorised = "Unauthorized" //nolint:misspell // Amazon's spelling

// find names the operation that a request is for; nil when there is none.
func (s *Simulator) find(r *http.Request) *route {
	// Path segments may hold escaped slashes.
	var path []string
	for _, segment := range strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		text, err := url.PathUnescape(segment)
		if err != nil {
			return nil
		}
		path = append(path, text)
	}
	is := func(method string, want ...string) bool {
		if r.Method != method || len(path) != len(want) {
			return false
		}
		for i, w := range want {
			if w != "*" && w != path[i] {
				return false
			}
		}
		return true
	}
	last := path[len(path)-1]
	switch {
	case is(http.MethodGet, "orders", "2026-01-01", "orders"):
		return &route{op: "searchOrders", serve: func(q url.Values, _ []byte) reply { return s.searchOrders(q) }}
	case is(http.MethodGet, "orders", "2026-01-01", "orders", "*"):
		return &route{op: "getOrder", serve: func(url.Values, []byte) reply { return s.getOrder(last) }}
	case is(http.MethodPost, "orders", "v0", "orders", "*", "shipmentConfirmation"):
		return &route{op: "confirmShipment", writes: true, serve: func(_ url.Values, body []byte) reply { return s.confirmShipment(path[3], body) }}
	case is(http.MethodGet, "listings", "2021-08-01", "items", s.cfg.SellerID):
		return &route{op: "searchListingsItems", serve: func(q url.Values, _ []byte) reply { return s.searchListings(q) }}
	case is(http.MethodGet, "listings", "2021-08-01", "items", s.cfg.SellerID, "*"):
		return &route{op: "getListingsItem", serve: func(q url.Values, _ []byte) reply { return s.getListing(last, q) }}
	case is(http.MethodPatch, "listings", "2021-08-01", "items", s.cfg.SellerID, "*"):
		return &route{op: "patchListingsItem", writes: true, serve: func(q url.Values, body []byte) reply { return s.patchListing(last, q, body) }}
	case is(http.MethodPost, "reports", "2021-06-30", "reports"):
		return &route{op: "createReport", serve: func(_ url.Values, body []byte) reply { return s.createReport(body) }}
	case is(http.MethodGet, "reports", "2021-06-30", "reports", "*"):
		return &route{op: "getReport", serve: func(url.Values, []byte) reply { return s.getReport(last) }}
	case is(http.MethodGet, "reports", "2021-06-30", "documents", "*"):
		host := r.Host
		return &route{op: "getReportDocument", serve: func(url.Values, []byte) reply { return s.getDocument(last, host) }}
	case is(http.MethodPost, "feeds", "2021-06-30", "documents"):
		host := r.Host
		return &route{op: "createFeedDocument", serve: func(_ url.Values, body []byte) reply { return s.createFeedDocument(body, host) }}
	case is(http.MethodPost, "feeds", "2021-06-30", "feeds"):
		return &route{op: "createFeed", writes: true, serve: func(_ url.Values, body []byte) reply { return s.createFeed(body) }}
	case is(http.MethodGet, "feeds", "2021-06-30", "feeds"):
		return &route{op: "getFeeds", serve: func(q url.Values, _ []byte) reply { return s.getFeeds(q) }}
	case is(http.MethodGet, "feeds", "2021-06-30", "feeds", "*"):
		return &route{op: "getFeed", serve: func(url.Values, []byte) reply { return s.getFeed(last) }}
	case is(http.MethodGet, "feeds", "2021-06-30", "documents", "*"):
		host := r.Host
		return &route{op: "getFeedDocument", serve: func(url.Values, []byte) reply { return s.getFeedDocument(last, host) }}
	case is(http.MethodGet, "finances", "2024-06-19", "transactions"):
		return &route{op: "listTransactions", serve: func(q url.Values, _ []byte) reply { return s.listTransactions(q) }}
	case is(http.MethodGet, "fba", "inventory", "v1", "summaries"):
		return &route{op: "getInventorySummaries", serve: func(q url.Values, _ []byte) reply { return s.summaries(q) }}
	case is(http.MethodGet, "sellers", "v1", "marketplaceParticipations"):
		return &route{op: "getMarketplaceParticipations", serve: func(url.Values, []byte) reply { return s.participations() }}
	case is(http.MethodGet, "notifications", "v1", "destinations"):
		return &route{op: "getDestinations", scope: "sellingpartnerapi::notifications", serve: func(url.Values, []byte) reply { return s.getDestinations() }}
	case is(http.MethodPost, "notifications", "v1", "destinations"):
		return &route{op: "createDestination", scope: "sellingpartnerapi::notifications", serve: func(_ url.Values, body []byte) reply { return s.createDestination(body) }}
	case is(http.MethodGet, "notifications", "v1", "subscriptions", "*"):
		return &route{op: "getSubscription", serve: func(url.Values, []byte) reply { return s.getSubscription(last) }}
	case is(http.MethodPost, "notifications", "v1", "subscriptions", "*"):
		return &route{op: "createSubscription", serve: func(_ url.Values, body []byte) reply { return s.createSubscription(last, body) }}
	case is(http.MethodDelete, "notifications", "v1", "subscriptions", "*", "*"):
		return &route{op: "deleteSubscriptionById", scope: "sellingpartnerapi::notifications", serve: func(url.Values, []byte) reply { return s.deleteSubscription(path[3], last) }}
	}
	return nil
}

// list is a parameter that is separated by commas.
func list(q url.Values, name string) []string {
	if v := q.Get(name); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

func set(values []string) map[string]bool {
	m := map[string]bool{}
	for _, v := range values {
		m[v] = true
	}
	return m
}
