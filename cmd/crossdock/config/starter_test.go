package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

// TestStarterIsValid: whatever is chosen, what is written loads, says what was chosen, and
// holds secrets by reference only, each of them listed.
func TestStarterIsValid(t *testing.T) {
	reference := regexp.MustCompile(`env:([A-Z0-9_]+)`)
	all := StarterChannels()
	for bits := 1; bits < 1<<len(all); bits++ {
		var channels []string
		for i, c := range all {
			if bits&(1<<i) != 0 {
				channels = append(channels, c)
			}
		}
		for _, env := range []schemas.Environment{schemas.Production, schemas.Test} {
			text, vars, err := Starter{Tenant: "acme", Environment: env, Channels: channels, Modules: []string{"orders", "inventory"}}.Write()
			if err != nil {
				t.Fatalf("%v in %s: %v", channels, env, err)
			}
			c, err := Parse("crossdock.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			want := append(slices.Clone(channels), "depot", "rates")
			slices.Sort(want)
			if diff := cmp.Diff(want, c.Names()); diff != "" {
				t.Error(diff)
			}
			for _, n := range channels {
				if diff := cmp.Diff(connectors.Modules{connectors.ModuleOrders, connectors.ModuleInventory}, c.Connections[n].Modules); diff != "" {
					t.Error(diff)
				}
			}
			var used, listed []string
			for _, m := range reference.FindAllStringSubmatch(text, -1) {
				if m[1] != "NAME" {
					used = append(used, m[1])
				}
			}
			for _, v := range vars {
				listed = append(listed, v.Name)
				if v.What == "" {
					t.Errorf("nobody knows what %s is", v.Name)
				}
			}
			slices.Sort(used)
			slices.Sort(listed)
			if diff := cmp.Diff(used, listed); diff != "" {
				t.Errorf("variables in the file and in the list: %s", diff)
			}
		}
	}
}

func TestStarterTakesAnswers(t *testing.T) {
	s := Starter{Tenant: "acme", Environment: schemas.Production, Channels: []string{"shopify", "amazon"}, Answers: map[string]string{
		"shopify.shop": "other.myshopify.com", "amazon.region": "na", "amazon.marketplaces": "ATVPDKIKX0DER",
	}}
	text, _, err := s.Write()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if c.Connections["shopify"].Shopify.Shop != "other.myshopify.com" || c.Connections["amazon"].Amazon.Marketplaces[0] != "ATVPDKIKX0DER" {
		t.Errorf("the answers are not in:\n%s", text)
	}
	if len(c.Connections["shopify"].Modules) != len(StarterModules()) {
		t.Errorf("modules %v, want all", c.Connections["shopify"].Modules)
	}
	qs, err := s.Questions()
	if err != nil || len(qs) == 0 || !slices.ContainsFunc(qs, func(q Question) bool { return q.Key == "shopify.shop" }) {
		t.Errorf("questions %v, %v", qs, err)
	}
}

// TestStarterRefuses: what is wrong is named, and nothing can be smuggled into the file.
func TestStarterRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		s    Starter
		want string
	}{
		"channel": {Starter{Tenant: "acme", Environment: schemas.Production, Channels: []string{"etsy"}}, `"etsy"`},
		"none":    {Starter{Tenant: "acme", Environment: schemas.Production}, "at least one"},
		"module":  {Starter{Tenant: "acme", Environment: schemas.Production, Channels: []string{"ebay"}, Modules: []string{"gossip"}}, `"gossip"`},
		"tenant":  {Starter{Tenant: "No Tenant", Environment: schemas.Production, Channels: []string{"ebay"}}, `"tenant"`},
		"place":   {Starter{Tenant: "acme", Environment: "staging", Channels: []string{"ebay"}}, "staging"},
		"answer": {Starter{Tenant: "acme", Environment: schemas.Production, Channels: []string{"shopify"}, Answers: map[string]string{
			"shopify.shop": "x.myshopify.com\"\n      test_base_url: \"http://127.0.0.1:1",
		}}, "connections.shopify"},
	} {
		text, _, err := c.s.Write()
		if err == nil || text != "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one that names %s", name, err, c.want)
		}
	}
}
