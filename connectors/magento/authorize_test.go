package magento

import (
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// TestGuide: every way in says where its secrets belong, and never what they are.
func TestGuide(t *testing.T) {
	t.Setenv("MAGENTO_TEST_GUIDE", "geheim")
	for auth, want := range map[string][]string{
		AuthOAuth:  {"consumer_key", "consumer_secret", "access_token", "access_token_secret", "Activate"},
		AuthBearer: {"access_token"},
		AuthAdmin:  {"password", "bob"},
		AuthIMS:    {"client_secret", "commerce.accs"},
	} {
		cfg := DefaultConfig()
		cfg.Auth, cfg.BaseURL, cfg.Username = auth, "https://shop.example", "bob"
		ref := connectors.Secret("env:MAGENTO_TEST_GUIDE")
		cfg.ConsumerKey, cfg.ConsumerSecret, cfg.AccessToken, cfg.AccessTokenSecret, cfg.Password, cfg.ClientSecret = ref, ref, ref, ref, ref, ref
		g := (&authorizer{cfg, "shop-de"}).Guide()
		text := strings.Join(append(g.Steps, g.Needs...), "\n")
		for _, w := range append(want, "env:MAGENTO_TEST_GUIDE", "Magento_Catalog::products") {
			if !strings.Contains(text, w) {
				t.Errorf("%s: it does not name %s:\n%s", auth, w, text)
			}
		}
		if g.Way != connectors.AuthorizeByHand || !strings.Contains(g.Title, "shop.example") || strings.Contains(text, "geheim") {
			t.Errorf("%s: %+v", auth, g)
		}
	}
}
