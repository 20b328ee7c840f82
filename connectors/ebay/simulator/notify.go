package simulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what eBay signs with
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// place is a destination.
type place struct {
	id, name, status, endpoint, token string
}

// sub is a subscription.
type sub struct {
	id, topic, status, place string
	payload                  payload
	user                     bool
	created                  time.Time
}

type payload struct {
	Format   string `json:"format,omitempty"`
	Version  string `json:"schemaVersion,omitempty"`
	Protocol string `json:"deliveryProtocol,omitempty"`
}

// userTopics need the seller's own token.
func userTopics(topic string) bool {
	return topic == "ORDER_CONFIRMATION" || topic == "ITEM_MARKED_SHIPPED"
}

// Subscribe sends topics to an address, as if they had been subscribed to before; no
// challenge is made.
func (s *Simulator) Subscribe(address string, topics ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &place{id: fmt.Sprint("d", s.id()), name: "by hand", status: "ENABLED", endpoint: address}
	s.places = append(s.places, p)
	for _, t := range topics {
		s.subs = append(s.subs, &sub{id: fmt.Sprint("s", s.id()), topic: t, status: "ENABLED", place: p.id, payload: payload{"JSON", "1.0", "HTTPS"}, user: userTopics(t), created: s.now()})
	}
}

// Subscriptions says how many subscriptions deliver.
func (s *Simulator) Subscriptions() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.subs {
		if p := s.placeOf(b.place); b.status == "ENABLED" && p != nil && p.status == "ENABLED" {
			n++
		}
	}
	return n
}

// MarkDown marks a destination down, and disables its subscriptions, as eBay does when
// deliveries fail for days.
func (s *Simulator) MarkDown(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		if p.endpoint == address {
			p.status = "MARKED_DOWN"
			for _, b := range s.subs {
				if b.place == p.id {
					b.status = "DISABLED"
				}
			}
		}
	}
}

func (s *Simulator) getConfig(*http.Request, []byte) reply {
	if s.email == "" {
		return problem(http.StatusNotFound, 195000, "REQUEST", "No configuration found.")
	}
	return reply{body: object{"alertEmail": s.email}}
}

func (s *Simulator) putConfig(_ *http.Request, body []byte) reply {
	var in struct {
		Email string `json:"alertEmail"`
	}
	if json.Unmarshal(body, &in) != nil || !strings.Contains(in.Email, "@") {
		return problem(http.StatusBadRequest, 195001, "REQUEST", "Invalid or missing alert email.")
	}
	s.email = in.Email
	return reply{status: http.StatusNoContent}
}

func (s *Simulator) getPlaces(*http.Request, []byte) reply {
	all := []object{}
	for _, p := range s.places {
		all = append(all, object{"destinationId": p.id, "name": p.name, "status": p.status, "deliveryConfig": object{"endpoint": p.endpoint, "verificationToken": p.token}})
	}
	return reply{body: object{"total": len(all), "limit": 100, "href": "/destination", "destinations": all}}
}

func readPlace(body []byte) (p place, ok bool) {
	var in struct {
		Name   string `json:"name"`
		Status string `json:"status"`
		Config struct {
			Endpoint string `json:"endpoint"`
			Token    string `json:"verificationToken"`
		} `json:"deliveryConfig"`
	}
	if json.Unmarshal(body, &in) != nil || in.Name == "" || len(in.Config.Token) < 32 || len(in.Config.Token) > 80 {
		return p, false
	}
	u, err := url.Parse(in.Config.Endpoint)
	return place{name: in.Name, status: in.Status, endpoint: in.Config.Endpoint, token: in.Config.Token}, err == nil && u.Host != ""
}

// servePlace makes a destination, after it has answered a challenge.
func (s *Simulator) servePlace(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
	if err != nil {
		http.Error(rw, "", http.StatusRequestEntityTooLarge)
		return
	}
	p, ok := readPlace(body)
	s.mu.Lock()
	a, refused := s.admit(r, "notification", "", false)
	code := fmt.Sprintf("challenge-%d", s.id())
	s.stats.Challenges++
	s.mu.Unlock()
	switch {
	case refused:
	case !ok:
		a = problem(http.StatusBadRequest, 195017, "REQUEST", "Invalid or missing destination.")
	case !s.challenge(r.Context(), p, code):
		a = problem(http.StatusBadRequest, 195020, "REQUEST", "Challenge verification failed for this endpoint.")
	default:
		s.mu.Lock()
		p.id = fmt.Sprint("d", s.id())
		s.places = append(s.places, &p)
		s.mu.Unlock()
		a = reply{status: http.StatusCreated, body: object{}, location: "https://api.ebay.com/commerce/notification/v1/destination/" + p.id}
	}
	write(rw, a)
}

// challenge asks an endpoint to prove that it is who registered it.
func (s *Simulator) challenge(ctx context.Context, p place, code string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.endpoint+"?challenge_code="+url.QueryEscape(code), http.NoBody)
	if err != nil {
		return false
	}
	resp, err := s.cfg.HTTP.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var out struct {
		Response string `json:"challengeResponse"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&out) != nil || resp.StatusCode != http.StatusOK {
		return false
	}
	sum := sha256.Sum256([]byte(code + p.token + p.endpoint))
	return out.Response == hex.EncodeToString(sum[:]) && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
}

func (s *Simulator) placeOf(id string) *place {
	for _, p := range s.places {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (s *Simulator) putPlace(r *http.Request, body []byte) reply {
	p := s.placeOf(r.PathValue("id"))
	in, ok := readPlace(body)
	switch {
	case p == nil:
		return problem(http.StatusNotFound, 195022, "REQUEST", "The destination was not found.")
	case !ok:
		return problem(http.StatusBadRequest, 195017, "REQUEST", "Invalid or missing destination.")
	}
	p.name, p.status, p.endpoint, p.token = in.name, in.status, in.endpoint, in.token
	return reply{status: http.StatusNoContent}
}

// user: the call is made with a seller's token.
func (s *Simulator) user(r *http.Request) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return s.tokens[token].user
}

// getSubs is two to a page, so that lists go on.
func (s *Simulator) getSubs(r *http.Request, _ []byte) reply {
	all, from := []object{}, r.URL.Query().Get("continuation_token")
	out := object{"limit": 100, "href": "/subscription"}
	begun := from == ""
	for _, b := range s.subs {
		if b.user != s.user(r) {
			continue
		}
		if !begun {
			begun = b.id == from
			continue
		}
		if len(all) == 2 {
			out["next"] = "https://api.ebay.com/commerce/notification/v1/subscription?limit=100&continuation_token=" + url.QueryEscape(all[1]["subscriptionId"].(string))
			break
		}
		all = append(all, object{"subscriptionId": b.id, "topicId": b.topic, "status": b.status, "payload": b.payload, "destinationId": b.place, "creationDate": stamp(b.created)})
	}
	out["subscriptions"], out["total"] = all, len(all)
	return reply{body: out}
}

type subRequest struct {
	Topic   string  `json:"topicId"`
	Status  string  `json:"status"`
	Place   string  `json:"destinationId"`
	Payload payload `json:"payload"`
}

func (s *Simulator) postSub(r *http.Request, body []byte) reply {
	var in subRequest
	if json.Unmarshal(body, &in) != nil || in.Topic == "" || s.placeOf(in.Place) == nil {
		return problem(http.StatusBadRequest, 195003, "REQUEST", "Invalid subscription.")
	}
	if s.email == "" {
		return problem(http.StatusConflict, 195014, "REQUEST", "Configuration is required before a subscription is made.")
	}
	if userTopics(in.Topic) && (!s.user(r) || !s.granted("commerce.notification.subscription")) {
		return problem(http.StatusForbidden, 195011, "REQUEST", "Not authorized to subscribe to this topic.")
	}
	for _, b := range s.subs {
		if b.topic == in.Topic && b.user == s.user(r) {
			return problem(http.StatusConflict, 195009, "REQUEST", "The subscription exists already.")
		}
	}
	b := &sub{id: fmt.Sprint("s", s.id()), topic: in.Topic, status: in.Status, place: in.Place, payload: in.Payload, user: s.user(r), created: s.now()}
	s.subs = append(s.subs, b)
	return reply{status: http.StatusCreated, body: object{}, location: "https://api.ebay.com/commerce/notification/v1/subscription/" + b.id}
}

func (s *Simulator) sub(r *http.Request) *sub {
	for _, b := range s.subs {
		if b.id == r.PathValue("id") && b.user == s.user(r) {
			return b
		}
	}
	return nil
}

func (s *Simulator) putSub(r *http.Request, body []byte) reply {
	var in subRequest
	b := s.sub(r)
	if b == nil {
		return problem(http.StatusNotFound, 195004, "REQUEST", "The subscription was not found.")
	}
	if json.Unmarshal(body, &in) != nil || in.Topic != "" || s.placeOf(in.Place) == nil {
		return problem(http.StatusBadRequest, 195003, "REQUEST", "Invalid subscription.")
	}
	// The status is changed by enable and disable alone: here it may only stay.
	b.place, b.payload = in.Place, in.Payload
	return reply{status: http.StatusNoContent}
}

func (s *Simulator) postEnable(r *http.Request, _ []byte) reply {
	b := s.sub(r)
	switch {
	case b == nil:
		return problem(http.StatusNotFound, 195004, "REQUEST", "The subscription was not found.")
	case b.status == "ENABLED":
		return problem(http.StatusConflict, 195013, "REQUEST", "The subscription is enabled already.")
	}
	b.status = "ENABLED"
	return reply{status: http.StatusNoContent}
}

func (s *Simulator) getKey(r *http.Request, _ []byte) reply {
	if r.PathValue("id") != s.keyID {
		return problem(http.StatusNotFound, 195100, "REQUEST", "The public key was not found.")
	}
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		panic(err) // a key of our own
	}
	// Without line breaks, as eBay writes it.
	return reply{body: object{"key": "-----BEGIN PUBLIC KEY-----" + base64.StdEncoding.EncodeToString(der) + "-----END PUBLIC KEY-----", "algorithm": "ECDSA", "digest": "SHA1"}}
}

// Sign is the value of X-EBAY-SIGNATURE for a body.
func (s *Simulator) Sign(body []byte) string {
	sum := sha1.Sum(body) //nolint:gosec // what eBay signs with
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	if err != nil {
		panic(err) // a key of our own
	}
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"ecdsa","kid":%q,"signature":%q,"digest":"SHA1"}`, s.keyID, base64.StdEncoding.EncodeToString(signature)))
}

// confirmed posts ORDER_CONFIRMATION, once for each line, when an order is paid.
func (s *Simulator) confirmed(o *order) (mail []*delivery) {
	if !o.paid {
		return nil
	}
	for _, l := range o.lines {
		mail = s.post(mail, "ORDER_CONFIRMATION", object{
			"orderId": o.id, "orderLineItemId": l.id, "listingId": l.listing, "quantity": l.quantity, "sellerId": s.cfg.Seller, "purchaseDate": stamp(o.created),
		})
	}
	return mail
}

// DeleteAccount is a user of eBay who closes the account: everybody is told.
func (s *Simulator) DeleteAccount(username, userID string) {
	s.mu.Lock()
	mail := s.post(nil, "MARKETPLACE_ACCOUNT_DELETION", object{"username": username, "userId": userID, "eiasToken": "made+up"})
	s.mu.Unlock()
	s.mail.Deliver(mail)
}

// post makes deliveries of one event, as the faults will have it. Callers hold mu, and hand
// the deliveries to the mailroom when they have let go of it.
func (s *Simulator) post(mail []*delivery, topic string, data object) []*delivery {
	now := time.Now()
	by := func(most, otherwise time.Duration) time.Time {
		if most == 0 {
			most = otherwise
		}
		return now.Add(time.Duration(s.rng.Int64N(int64(most))) + 1)
	}
	for _, b := range s.subs {
		p := s.placeOf(b.place)
		if b.topic != topic || b.status != "ENABLED" || p == nil || p.status != "ENABLED" {
			continue
		}
		s.messages++
		d := &delivery{endpoint: p.endpoint, topic: topic, id: fmt.Sprintf("n-%d_%016x", s.messages, s.rng.Uint64()), event: s.now(), data: data}
		f := s.faults
		s.stats.WebhooksSent++
		if s.hit(f.Drop) {
			s.stats.WebhooksDropped++
			continue
		}
		if s.hit(f.Late) {
			s.stats.WebhooksLate++
			d.Due = by(f.LateBy, 2*time.Second)
		} else if s.hit(f.Reorder) {
			s.stats.WebhooksReordered++
			d.Due = by(f.ReorderBy, 300*time.Millisecond)
		}
		mail = append(mail, d)
		if s.hit(f.Duplicate) {
			s.stats.WebhooksDuplicated++
			twin := *d
			twin.Due = by(f.ReorderBy, 300*time.Millisecond)
			mail = append(mail, &twin)
		}
	}
	return mail
}

// body is one attempt's: publishDate and publishAttemptCount tell it from the others.
func (s *Simulator) body(d *delivery) []byte {
	s.mu.Lock()
	now := s.now()
	s.mu.Unlock()
	text, err := json.Marshal(object{
		"metadata":     object{"topic": d.topic, "schemaVersion": "1.0", "deprecated": false},
		"notification": object{"notificationId": d.id, "eventDate": stamp(d.event), "publishDate": stamp(now), "publishAttemptCount": d.attempt + 1, "data": d.data},
	})
	if err != nil {
		panic(err) // made of maps and texts
	}
	return text
}
