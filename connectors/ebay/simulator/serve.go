package simulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// grant is an access token.
type grant struct {
	user  bool
	until time.Time
}

// reply is what a call is answered with. A zero status is 200.
type reply struct {
	status   int
	body     any
	location string
	// wrote: something was changed by the call.
	wrote bool
	mail  []*delivery
}

// problem is an answer with errors as all of eBay's APIs write them.
func problem(status int, id int64, category, message string) reply {
	return reply{status: status, body: object{"errors": []object{{"errorId": id, "domain": "API_SIMULATED", "category": category, "message": message, "longMessage": message}}}}
}

// api is one call of an API. It is made with mu held.
type api func(r *http.Request, body []byte) reply

// routes is all calls that are known.
func (s *Simulator) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /identity/v1/oauth2/token", s.serveToken)
	on := func(pattern, name, scope string, user bool, f api) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+path, func(rw http.ResponseWriter, r *http.Request) { s.serve(rw, r, name, scope, user, f) })
	}
	fulfilment := func(pattern string, f api) {
		on(strings.Replace(pattern, " ", " /sell/fulfillment/v1", 1), "fulfillment", "sell.fulfillment", true, f)
	}
	fulfilment("GET /order", s.getOrders)
	fulfilment("GET /order/{id}", s.getOrder)
	fulfilment("GET /order/{id}/shipping_fulfillment", s.getShipments)
	fulfilment("POST /order/{id}/shipping_fulfillment", s.postShipment)
	fulfilment("POST /order/{id}/issue_refund", s.postRefund)
	on("GET /sell/fulfillment/v1/payment_dispute_summary", "fulfillment", "sell.payment.dispute", true, s.getDisputes)
	inventory := func(pattern string, f api) {
		on(strings.Replace(pattern, " ", " /sell/inventory/v1", 1), "inventory", "sell.inventory", true, f)
	}
	inventory("GET /inventory_item", s.getItems)
	inventory("POST /bulk_get_inventory_item", s.getItemsOf)
	inventory("GET /offer", s.getOffers)
	inventory("POST /bulk_update_price_quantity", s.postUpdate)
	on("POST /post-order/v2/cancellation", "post-order", "", true, s.postCancel)
	on("POST /post-order/v2/cancellation/{id}/approve", "post-order", "", true, s.postApprove)
	notes := func(pattern string, f api) {
		on(strings.Replace(pattern, " ", " /commerce/notification/v1", 1), "notification", "", false, f)
	}
	notes("GET /public_key/{id}", s.getKey)
	notes("GET /config", s.getConfig)
	notes("PUT /config", s.putConfig)
	notes("GET /destination", s.getPlaces)
	notes("PUT /destination/{id}", s.putPlace)
	notes("GET /subscription", s.getSubs)
	notes("POST /subscription", s.postSub)
	notes("PUT /subscription/{id}", s.putSub)
	notes("POST /subscription/{id}/enable", s.postEnable)
	// A destination is asked for its challenge before it is made, without mu.
	mux.HandleFunc("POST /commerce/notification/v1/destination", s.servePlace)
	on("GET /developer/analytics/v1_beta/rate_limit/{$}", "analytics", "", false, s.getLimits)
	on("GET /developer/analytics/v1_beta/user_rate_limit/{$}", "analytics", "", false, s.getLimits)
	return mux
}

// ServeHTTP answers as api.ebay.com does.
func (s *Simulator) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	rw.Header().Set("Date", s.now().Format(http.TimeFormat))
	f := s.faults
	outage := f.Outage
	html := s.hit(f.HTML)
	s.mu.Unlock()
	switch {
	case outage:
		http.Error(rw, "", http.StatusServiceUnavailable)
	case html:
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, "<html><body>We will be back soon</body></html>")
	default:
		s.mux.ServeHTTP(rw, r)
	}
}

const maxBody = 1 << 20

// serve checks token, scope, quota and faults, and makes the call.
func (s *Simulator) serve(rw http.ResponseWriter, r *http.Request, name, scope string, user bool, f api) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
	if err != nil {
		http.Error(rw, "", http.StatusRequestEntityTooLarge)
		return
	}
	s.mu.Lock()
	a, refused := s.admit(r, name, scope, user)
	if !refused {
		s.mature()
		a = f(r, body)
		if a.wrote && s.hit(s.faults.FailAfter) {
			s.stats.FailedAfter++
			mail := a.mail
			a = problem(http.StatusInternalServerError, 25001, "APPLICATION", "A system error has occurred.")
			a.mail = mail
		}
	}
	s.mu.Unlock()
	s.mail.Deliver(a.mail)
	write(rw, a)
}

func write(rw http.ResponseWriter, a reply) {
	if a.location != "" {
		rw.Header().Set("Location", a.location)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.body == nil {
		rw.WriteHeader(a.status)
		return
	}
	text, err := json.Marshal(a.body)
	if err != nil {
		panic(err) // made of maps and texts
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(a.status)
	_, _ = rw.Write(text)
}

// admit says whether a call may be made. Callers hold mu.
func (s *Simulator) admit(r *http.Request, name, scope string, user bool) (reply, bool) {
	s.stats.Calls++
	scheme := "Bearer "
	if name == "post-order" {
		scheme = "IAF "
	}
	token, announced := strings.CutPrefix(r.Header.Get("Authorization"), scheme)
	g, ok := s.tokens[token]
	ok = ok && announced
	if !ok || !s.now().Before(g.until) {
		return problem(http.StatusUnauthorized, 1001, "REQUEST", "Invalid access token"), true
	}
	if user && !g.user || scope != "" && !s.granted(scope) {
		a := problem(http.StatusForbidden, 1100, "REQUEST", "Access denied: insufficient permissions.")
		a.body.(object)["errors"].([]object)[0]["domain"] = "ACCESS"
		return a, true
	}
	if s.hit(s.faults.FailBefore) {
		return reply{status: http.StatusServiceUnavailable}, true
	}
	s.midnight()
	if s.spent[name] >= s.quota(name) || s.hit(s.faults.Throttle) {
		s.stats.Throttled++
		s.stats.Refused[name]++
		return problem(http.StatusTooManyRequests, 2001, "REQUEST", "Too many requests. The request limit has been reached for the resource."), true
	}
	s.spent[name]++
	s.stats.Made[name]++
	return reply{}, false
}

// midnight begins the day of eBay anew when it is time to.
func (s *Simulator) midnight() {
	if day := s.today(); day != s.day {
		s.day = day
		clear(s.spent)
	}
}

func (s *Simulator) today() string {
	return s.now().In(time.FixedZone("PST", -8*3600)).Format(time.DateOnly)
}

func (s *Simulator) quota(name string) int64 {
	if q, ok := s.cfg.Quota[name]; ok {
		return q
	}
	return 1_000_000
}

func (s *Simulator) granted(scope string) bool {
	if s.cfg.Scopes == nil {
		return true
	}
	for _, have := range s.cfg.Scopes {
		if have == scope {
			return true
		}
	}
	return false
}

func (s *Simulator) serveToken(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(s.cfg.ClientID+":"+s.cfg.ClientSecret))
	if r.Header.Get("Authorization") != want {
		write(rw, reply{status: http.StatusUnauthorized, body: object{"error": "invalid_client", "error_description": "client authentication failed"}})
		return
	}
	user := false
	switch r.PostFormValue("grant_type") {
	case "client_credentials":
	case "refresh_token":
		if user = true; r.PostFormValue("refresh_token") != s.cfg.RefreshToken {
			write(rw, reply{status: http.StatusBadRequest, body: object{"error": "invalid_grant", "error_description": "the provided authorization refresh token is invalid or was issued to another client"}})
			return
		}
	default:
		write(rw, reply{status: http.StatusBadRequest, body: object{"error": "unsupported_grant_type"}})
		return
	}
	s.stats.Refreshes++
	token := fmt.Sprintf("v^1.1#simulated-%d", s.id())
	s.tokens[token] = grant{user, s.now().Add(s.cfg.TokenLife)}
	answer := object{"access_token": token, "token_type": "User Access Token"}
	if !user {
		answer["token_type"] = "Application Access Token"
	}
	if !s.cfg.OmitExpiry {
		answer["expires_in"] = int64(s.cfg.TokenLife.Seconds())
	}
	write(rw, reply{body: answer})
}

// RevokeTokens makes every access token die; RevokeConsent also the refresh token, as the
// seller does by a new password.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// RevokeConsent ends the seller's consent.
func (s *Simulator) RevokeConsent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
	s.cfg.RefreshToken = "revoked"
}

// getLimits is RateLimitsResponse.
func (s *Simulator) getLimits(*http.Request, []byte) reply {
	local := s.now().In(time.FixedZone("PST", -8*3600))
	reset := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, local.Location())
	all := []object{}
	for _, name := range []string{"fulfillment", "inventory", "notification", "analytics"} {
		context := map[string]string{"notification": "commerce", "analytics": "developer"}[name]
		if context == "" {
			context = "sell"
		}
		all = append(all, object{"apiContext": context, "apiName": name, "apiVersion": "v1", "resources": []object{{
			"name": context + "." + name, "rates": []object{{"limit": s.quota(name), "remaining": max(0, s.quota(name)-s.spent[name]), "reset": stamp(reset), "timeWindow": 86400}},
		}}})
	}
	return reply{body: object{"rateLimits": all}}
}
