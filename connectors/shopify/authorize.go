package shopify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/bearer"
)

// authorisation takes a shop's owner through Shopify's authorization code grant. It serves no
// page and opens no browser: whoever does that sends the owner to AuthorizeURL, receives the
// browser at the redirect address, and hands the query that it came with to Exchange, byte for
// byte (`crossdock connect`, by way of authorizer). From then on the tokens stand in the token
// store, where the connection finds them. An owner who opens the app inside of the admin brings
// a session token instead of a code (session.go).
// https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant
//
// Safe for concurrent use.
type authorisation struct {
	cfg  Config
	auth *auth

	mu sync.Mutex
	// spent is a code, or a session token, that was exchanged for tokens which the store has not
	// taken yet.
	spent  string
	gained *bearer.Token
	scopes []string
}

// minState is how long a state must be at least: it has to be impossible to guess.
const minState = 16

// AuthorizeURL is the address to send the owner's browser to. state is a secret of this one
// authorisation, made of letters, digits, "-" and "_", that the caller draws at random and
// keeps until the browser comes back; redirect is where it comes back to, and stands in the
// app's list of redirect addresses.
func (a *authorisation) AuthorizeURL(state, redirect string) (string, error) {
	if err := checkState(state); err != nil {
		return "", err
	}
	u, err := url.Parse(redirect)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return "", fmt.Errorf("redirect %q is no address: write it as https://…", redirect)
	case u.Scheme == "https":
	case u.Scheme != "http" || !onThisMachine(u.Hostname()):
		return "", fmt.Errorf("redirect %q: use https, or http on this machine", redirect)
	}
	q := url.Values{"client_id": {a.cfg.ClientID}, "scope": {strings.Join(a.Scopes(), ",")}, "redirect_uri": {redirect}, "state": {state}}
	return a.auth.base + "/admin/oauth/authorize?" + q.Encode(), nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkState(state string) error {
	if len(state) < minState || len(state) > 200 {
		return fmt.Errorf("a state needs %d to 200 characters", minState)
	}
	for _, c := range []byte(state) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return errors.New("a state is made of letters, digits, - and _")
		}
	}
	return nil
}

// Scopes is what the owner is asked for: what the connection's modules need.
func (a *authorisation) Scopes() []string {
	var names []string
	wanted := slices.DeleteFunc(scopes(), func(s scope) bool { return !a.auth.deps.Modules.Any(s.modules...) })
	for _, s := range wanted {
		// Writing includes reading.
		if rest, ok := strings.CutPrefix(s.name, "read_"); ok && slices.ContainsFunc(wanted, func(o scope) bool { return o.name == "write_"+rest }) {
			continue
		}
		names = append(names, s.name)
	}
	if a.cfg.ReadAllOrders && a.auth.deps.Modules.Has(connectors.ModuleOrders) {
		names = append(names, "read_all_orders")
	}
	return names
}

// Missing is what was asked for and not granted; `crossdock check` says what it is needed for.
func (a *authorisation) Missing(granted []string) []string {
	var missing []string
	for _, want := range a.Scopes() {
		rest, reading := strings.CutPrefix(want, "read_")
		if !slices.Contains(granted, want) && (!reading || !slices.Contains(granted, "write_"+rest)) {
			missing = append(missing, want)
		}
	}
	return missing
}

// Exchange checks that the query with which the browser came back is Shopify's answer to this
// authorisation (see Verify), exchanges its code for an expiring offline token, saves it with
// its refresh token, and says which scopes the owner granted.
//
// Errors: connectors.ErrUnauthentic for a query that is not from Shopify, for this shop and
// with this state, in time; connectors.ErrNeedsAuthorisation when Shopify refuses the code:
// begin anew. When only saving failed, the tokens are kept here, and the same call saves them.
func (a *authorisation) Exchange(ctx context.Context, rawQuery, state string) (granted []string, err error) {
	code, err := a.Verify(rawQuery, state)
	if err != nil {
		return nil, err
	}
	return a.gain(ctx, code, url.Values{"code": {code}})
}

// gain exchanges a proof of the owner's agreement, which form carries, for tokens, and saves them
// before anybody uses them. When only saving failed, they are kept, and the same proof saves them.
func (a *authorisation) gain(ctx context.Context, proof string, form url.Values) (granted []string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	// Nobody may refresh the tokens of before in the meantime, and save them over these.
	unlock, err := a.auth.deps.Tokens.Lock(ctx, a.auth.held.Name())
	if err != nil {
		return nil, fmt.Errorf("locking the token of %s: %w", a.auth.deps.Account, err)
	}
	defer unlock()
	if a.spent != proof {
		if err := a.redeem(ctx, proof, form); err != nil {
			return nil, err
		}
	}
	if err := a.auth.held.Save(ctx, a.gained); err != nil {
		return nil, err
	}
	granted = a.scopes
	a.spent, a.gained, a.scopes = "", nil, nil
	return granted, nil
}

// redeem exchanges a proof for an offline token that expires.
func (a *authorisation) redeem(ctx context.Context, proof string, form url.Values) error {
	secret, err := a.cfg.ClientSecret.Resolve()
	if err != nil {
		return fmt.Errorf("reading client_secret: %w", err)
	}
	asked := a.auth.deps.Now()
	form.Set("client_id", a.cfg.ClientID)
	form.Set("client_secret", secret)
	form.Set("expiring", "1")
	answer, err := a.auth.ask(ctx, form)
	if err != nil {
		return fmt.Errorf("exchanging the owner's agreement: %w", err)
	}
	if answer.Refresh == "" {
		return fmt.Errorf("%w: Shopify gave %s a token without a refresh token, though one that expires was asked for: nothing was saved; check in the dev dashboard that the app may have expiring offline tokens",
			connectors.ErrPermanent, a.cfg.Shop)
	}
	fresh := a.auth.given(answer, asked)
	// What is stored cannot always be read any more, which is one reason to authorise anew.
	if old, err := a.auth.held.Load(ctx); err == nil {
		fresh.Previous = old.Last()
	} else if !errors.Is(err, connectors.ErrNeedsAuthorisation) {
		a.auth.deps.Log.Warn("the tokens of before cannot be loaded and are not kept", "error", err)
	}
	// A configured refresh token is older than this authorisation: it begins no chain of its own.
	if text, err := a.auth.configured(); err == nil {
		fresh.Begun = fingerprint(text)
	}
	a.spent, a.gained, a.scopes = proof, fresh, nil
	if answer.Scope != "" {
		a.scopes = strings.Split(answer.Scope, ",")
	}
	return nil
}

// callbackWindow is how old a callback may be by Shopify's clock: the browser comes straight
// back. Shopify's own library allows as much.
const callbackWindow = 90 * time.Second

// maxQuery bounds a callback's query.
const maxQuery = 8 << 10

// Verify checks a callback's query and returns its code: signed, of this shop and fresh (see
// signed), and with this state.
func (a *authorisation) Verify(rawQuery, state string) (code string, err error) {
	members, err := a.signed(rawQuery)
	if err != nil {
		return "", err
	}
	if checkState(state) != nil || subtle.ConstantTimeCompare([]byte(members["state"]), []byte(state)) != 1 {
		return "", fmt.Errorf("%w: the callback belongs to another authorisation: begin anew", connectors.ErrUnauthentic)
	}
	if code = members["code"]; code == "" {
		return "", fmt.Errorf("%w: the callback holds no code: the owner did not agree", connectors.ErrUnauthentic)
	}
	return code, nil
}

// signed is the members of a query with which Shopify sends the browser to us: signed with the
// client secret (or the one before it), of this shop, and fresh. The signature is over the query
// as it stands, its members sorted by name, and comparisons take the same time whatever differs.
func (a *authorisation) signed(rawQuery string) (members map[string]string, err error) {
	members, signed, given, err := takeApart(rawQuery)
	if err != nil {
		return nil, err
	}
	secrets, err := a.cfg.signing()
	if err != nil {
		return nil, fmt.Errorf("checking a callback's signature: %w", err)
	}
	matched := 0
	for _, secret := range secrets {
		// The text is compared, not what it decodes to: hex has two spellings.
		matched |= subtle.ConstantTimeCompare([]byte(signQuery(secret, signed)), []byte(given))
	}
	if matched == 0 {
		return nil, fmt.Errorf("%w: the callback's signature does not match client_secret", connectors.ErrUnauthentic)
	}
	if members["shop"] != a.cfg.Shop {
		return nil, fmt.Errorf("%w: the callback is of another shop: log in to %s", connectors.ErrUnauthentic, a.cfg.Shop)
	}
	seconds, err := strconv.ParseInt(members["timestamp"], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: the callback tells no time", connectors.ErrUnauthentic)
	}
	if age := a.auth.deps.Now().Sub(time.Unix(seconds, 0)); age > callbackWindow || age < -callbackWindow {
		return nil, fmt.Errorf("%w: the callback is %s old: begin anew, and check this machine's clock", connectors.ErrUnauthentic, age.Round(time.Second))
	}
	return members, nil
}

// signQuery is the value of hmac: hex of HMAC-SHA256 over the sorted members.
func signQuery(secret, signed string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return hex.EncodeToString(mac.Sum(nil))
}

// takeApart reads a query: its members decoded, the text that is signed, and the signature. A
// member that stands twice would be read differently by different readers: it is refused.
func takeApart(rawQuery string) (members map[string]string, signed, given string, err error) {
	bad := fmt.Errorf("%w: the callback's query cannot be read", connectors.ErrUnauthentic)
	if len(rawQuery) > maxQuery {
		return nil, "", "", bad
	}
	type pair struct{ name, text string }
	var pairs []pair
	members = map[string]string{}
	for _, text := range strings.Split(rawQuery, "&") {
		rawName, rawValue, ok := strings.Cut(text, "=")
		name, errName := url.QueryUnescape(rawName)
		value, errValue := url.QueryUnescape(rawValue)
		if _, twice := members[name]; !ok || twice || errName != nil || errValue != nil {
			return nil, "", "", bad
		}
		members[name] = value
		if name == "hmac" {
			given = rawValue
			continue
		}
		pairs = append(pairs, pair{rawName, text})
	}
	sort.Slice(pairs, func(i, j int) bool { return pairs[i].name < pairs[j].name })
	texts := make([]string, len(pairs))
	for i, p := range pairs {
		texts[i] = p.text
	}
	return members, strings.Join(texts, "&"), given, nil
}
