package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An app that is embedded in the admin is installed there, with the scopes of its own
// configuration, and opened there: with a session token in the query, which says who looks at
// which shop, and is good for a minute.
// https://shopify.dev/docs/apps/build/authentication-authorization/session-tokens

// sessionLife of a session token.
const sessionLife = time.Minute

// Session is the content of a session token: who looks at which shop, in which app. Times are in
// seconds since 1970.
type Session struct {
	Issuer    string `json:"iss"`
	Dest      string `json:"dest"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	Expires   int64  `json:"exp"`
	NotBefore int64  `json:"nbf"`
	Issued    int64  `json:"iat"`
	ID        string `json:"jti"`
	SessionID string `json:"sid"`
}

// Session is what the admin says of somebody who opens the app now.
func (s *Simulator) Session() Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session()
}

func (s *Simulator) session() Session {
	now := s.now()
	return Session{
		Issuer: s.address() + "/admin", Dest: s.address(), Audience: s.cfg.ClientID, Subject: "42",
		Expires: now + int64(sessionLife/time.Second), NotBefore: now, Issued: now, ID: s.uuid(), SessionID: s.uuid(),
	}
}

// address is the shop's, as session tokens have it.
func (s *Simulator) address() string { return "https://" + s.cfg.Shop }

// Sign is the session token: a JWT (RFC 7519), with HS256.
func (c Session) Sign(secret string) string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // texts and numbers
	}
	return signSession(secret, base64.RawURLEncoding.EncodeToString(b))
}

var sessionHead = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

func signSession(secret, payload string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(sessionHead + "." + payload))
	return sessionHead + "." + payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// OpenApp is the query with which the admin opens the app's address.
func (s *Simulator) OpenApp() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.query(url.Values{"id_token": {s.session().Sign(s.cfg.ClientSecret)}, "embedded": {"1"}, "locale": {"en"}})
}

// serveApp is the app's place in the admin. What the app's configuration has as its address is
// told here as app_url, and the browser is sent there instead of opening it in a frame.
func (s *Simulator) serveApp(rw http.ResponseWriter, r *http.Request) {
	app, err := url.Parse(r.URL.Query().Get("app_url"))
	if r.Method != http.MethodGet || strings.TrimPrefix(r.URL.Path, appPath) != s.cfg.ClientID || err != nil || app.Host == "" {
		http.Error(rw, "open it as "+appPath+s.cfg.ClientID+"?app_url=http://…", http.StatusNotFound)
		return
	}
	app.RawQuery = s.OpenApp()
	http.Redirect(rw, r, app.String(), http.StatusFound) //nolint:gosec // the app under test is who asks
}

// appPath is where the admin has the apps, by client id.
const appPath = "/admin/apps/"

// knows reports whether a subject token is a session of this shop and this app that has not ended.
func (s *Simulator) knows(subject string) bool {
	var is Session
	parts := strings.Split(subject, ".")
	if len(parts) != 3 || subject != signSession(s.cfg.ClientSecret, parts[1]) {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(b, &is) != nil {
		return false
	}
	now := s.now()
	return is.Dest == s.address() && is.Issuer == s.address()+"/admin" && is.Audience == s.cfg.ClientID && is.NotBefore <= now && now < is.Expires
}
