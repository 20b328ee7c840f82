package woocommerce

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// The hand-over of keys without copying: the shop's owner is sent to an address of the shop,
// logs in, agrees, and the shop posts a new key to an address of ours, which must be https.
// https://woocommerce.github.io/woocommerce-rest-api-docs/#rest-api-keys

// Scopes of a key.
const (
	ScopeRead      = "read"
	ScopeWrite     = "write"
	ScopeReadWrite = "read_write"
)

// Authorisation is what is asked of a shop's owner.
type Authorisation struct {
	// AppName is shown to the owner.
	AppName string
	// Scope, empty = ScopeReadWrite.
	Scope string
	// State comes back with the key. It must be impossible to guess: it is all that says that
	// a key belongs to a hand-over that we began.
	State string
	// ReturnURL is where the owner's browser goes in the end, CallbackURL where the shop posts
	// the key.
	ReturnURL, CallbackURL string
}

// AuthorizeURL is the address to send the shop's owner to.
func AuthorizeURL(shop string, a Authorisation) (string, error) {
	u, err := siteAddress(shop)
	if err != nil {
		return "", fmt.Errorf("the shop's address: %w", err)
	}
	if a.AppName == "" || len(a.State) < 16 {
		return "", errors.New("a hand-over needs a name, and a state of 16 characters or more")
	}
	for _, to := range []string{a.ReturnURL, a.CallbackURL} {
		if u, err := url.Parse(to); err != nil || u.Host == "" {
			return "", fmt.Errorf("%q is no address: write it as https://…", to)
		}
	}
	if !strings.HasPrefix(a.CallbackURL, "https://") {
		return "", fmt.Errorf("%q is not https: WooCommerce sends keys nowhere else", a.CallbackURL)
	}
	switch a.Scope {
	case "":
		a.Scope = ScopeReadWrite
	case ScopeRead, ScopeWrite, ScopeReadWrite:
	default:
		return "", fmt.Errorf("scope %q: use %s, %s or %s", a.Scope, ScopeRead, ScopeWrite, ScopeReadWrite)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/wc-auth/v1/authorize"
	u.RawQuery = url.Values{
		"app_name": {a.AppName}, "scope": {a.Scope}, "user_id": {a.State},
		"return_url": {a.ReturnURL}, "callback_url": {a.CallbackURL},
	}.Encode()
	return u.String(), nil
}

// Grant is a key that a shop gave. It is a secret, and prints as none.
type Grant struct {
	KeyID                       string
	Scope                       string
	ConsumerKey, ConsumerSecret string
}

// String keeps the key out of logs and errors.
func (g Grant) String() string { return "key " + g.KeyID + " (" + g.Scope + ")" }

// GoString keeps it out of %#v as well.
func (g Grant) GoString() string { return g.String() }

// ReadGrant reads what the shop posted to the callback, and checks that it belongs to the
// hand-over with this state, by constant time. Errors: connectors.ErrUnauthentic for another
// state, connectors.ErrMalformed.
func ReadGrant(body []byte, state string) (Grant, error) {
	var posted struct {
		KeyID  json.Number     `json:"key_id"`
		UserID json.RawMessage `json:"user_id"`
		Key    string          `json:"consumer_key"`
		Secret string          `json:"consumer_secret"`
		Scope  string          `json:"key_permissions"`
	}
	if err := json.Unmarshal(body, &posted); err != nil {
		return Grant{}, fmt.Errorf("%w: the posted key cannot be read", connectors.ErrMalformed)
	}
	// A state of digits may come as a number.
	var given string
	if json.Unmarshal(posted.UserID, &given) != nil {
		given = string(posted.UserID)
	}
	if state == "" || subtle.ConstantTimeCompare([]byte(given), []byte(state)) != 1 {
		return Grant{}, fmt.Errorf("%w: the posted key belongs to another hand-over", connectors.ErrUnauthentic)
	}
	if !strings.HasPrefix(posted.Key, "ck_") || !strings.HasPrefix(posted.Secret, "cs_") || len(posted.Key) > 100 || len(posted.Secret) > 100 {
		return Grant{}, fmt.Errorf("%w: what was posted is no key of WooCommerce", connectors.ErrMalformed)
	}
	return Grant{posted.KeyID.String(), posted.Scope, posted.Key, posted.Secret}, nil
}
