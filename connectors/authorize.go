package connectors

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
)

// Authorizer lets the account's owner give us access, or give it anew. What it needs of the
// platform is in the connector; the conversation with people, the callback and the proof that
// an answer belongs to a question of ours are the caller's (`crossdock connect`).
type Authorizer interface {
	// Guide says what is needed and done. It is inert.
	Guide() AuthorizeGuide
	// AuthorizeURL is the address that the owner opens. Its error says which setting is missing.
	// It is not called for AuthorizeByHand. Nobody is asked.
	AuthorizeURL(r AuthorizeRequest) (string, error)
	// State is what an answer says of the question that it belongs to; "" when it says nothing.
	// It is not trusted: the caller compares it, in constant time.
	State(a *AuthorizeAnswer) string
	// Exchange turns an answer whose state was right into access and saves that through
	// Deps.Tokens before it returns. Called once for an answer: codes are good for one use.
	// ErrNeedsAuthorisation: the owner refused, or the answer is worth nothing: begin anew.
	Exchange(ctx context.Context, r AuthorizeRequest, a *AuthorizeAnswer) error
}

// Embedder recognises that the platform's admin opens the app's own address for an owner who was
// not sent there by us: no state comes back, and what the platform has signed is the proof. What
// it recognises, Authorizer.Exchange takes for an answer as well.
type Embedder interface {
	// Opened is nil when that is what came: signed by the platform, of this account, and fresh.
	// Nobody is asked, so that it may be called for whatever comes. ErrUnauthentic: it is
	// something else.
	Opened(a *AuthorizeAnswer) error
	// Frames are the origins whose pages may show the answer in a frame, e.g.
	// https://admin.example.com. It is inert.
	Frames() []string
}

// AuthorizeWay is how the answer comes back.
type AuthorizeWay string

// The ways.
const (
	// AuthorizeByBrowser: the platform sends the owner's browser to the callback, with a code in
	// the query.
	AuthorizeByBrowser AuthorizeWay = "browser"
	// AuthorizeByPost: the platform's server posts to the callback, which must be https.
	AuthorizeByPost AuthorizeWay = "post"
	// AuthorizeByHand: the owner makes keys in the platform's admin and puts them where the
	// configuration's references point; there is no callback.
	AuthorizeByHand AuthorizeWay = "hand"
)

// AuthorizeGuide is what people are told.
type AuthorizeGuide struct {
	// Title names what is authorised, e.g. "the eBay seller of shop-uk".
	Title string
	Way   AuthorizeWay
	// Needs is what will be asked for, e.g. the scopes; Steps what has to be done before.
	Needs, Steps []string
	// Registered: the platform has the callback's address on file and sends nowhere else, so
	// that ours is reached only if that address leads here.
	Registered bool
}

// AuthorizeRequest is one attempt.
type AuthorizeRequest struct {
	// State is random, and comes back with the answer.
	State string
	// Callback is the address that the answer is to come to.
	Callback string
	// Verifier is the secret of PKCE (RFC 7636), for platforms that offer it; see Challenge.
	Verifier string
}

// Challenge is what is told of the verifier beforehand, by method S256.
func (r AuthorizeRequest) Challenge() string {
	sum := sha256.Sum256([]byte(r.Verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// AuthorizeAnswer is what came to the callback.
type AuthorizeAnswer struct {
	Query url.Values
	// RawQuery as received, for platforms that sign it.
	RawQuery string
	// Body of a post; nil otherwise.
	Body []byte
}
