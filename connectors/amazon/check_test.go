package amazon

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
)

// failed is the subjects that are not right, with their advice.
func failed(t *testing.T, results []connectors.CheckResult) map[string]string {
	t.Helper()
	wrong := map[string]string{}
	for _, r := range results {
		if (r.Advice == "") != r.OK {
			t.Errorf("%s: right %v, and the advice is %q", r.Subject, r.OK, r.Advice)
		}
		if !r.OK {
			wrong[r.Subject] = r.Advice
		}
	}
	return wrong
}

// TestCheck: each thing that can be wrong is named, with what to do.
func TestCheck(t *testing.T) {
	missing := func(path string) func(*seller) {
		return func(s *seller) {
			s.between = answering(s.Simulator, path, func(w http.ResponseWriter, _ *http.Request) {
				fail(w, 403, unauthorised, "Access to requested resource is denied.")
			})
		}
	}
	for _, c := range []struct {
		name, subject, advice string
		change                func(*Config)
		before                func(*seller)
	}{
		{"withdrawn", "seller A1SIMULATED0", "refresh_token", nil, func(s *seller) { s.Withdraw() }},
		{"a marketplace too many", "marketplace A1PA6795UKMFR9", "marketplaces", func(c *Config) { c.Marketplaces = append(c.Marketplaces, "A1PA6795UKMFR9") }, nil},
		{"no role for orders", "reading orders", "Inventory and Order Tracking", nil, missing("/orders/")},
		{"no role for feeds", "cancelling and refunding", "Inventory and Order Tracking", nil, missing("/feeds/")},
		{"no role for finances", "seeing what was refunded", "Finance and Accounting", nil, missing("/finances/")},
		{"no role for listings", "reading and writing listings", "Product Listing", nil, missing("/listings/")},
		{"no role for warehouses", "reading Amazon's warehouses", "Amazon Fulfillment", func(c *Config) { c.FBA = true }, missing("/fba/")},
		{"another queue", "queue elsewhere", "queue_url", func(c *Config) { c.QueueURL = strings.Replace(c.QueueURL, "notifications", "elsewhere", 1) }, nil},
		{"no subscription", "notifications ORDER_CHANGE", "subscribed", nil, func(s *seller) { s.Unsubscribe() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, c.change)
			s.Subscribe()
			if c.before != nil {
				c.before(s)
			}
			results, err := s.conn.Check.Check(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			wrong := failed(t, results)
			if advice, ok := wrong[c.subject]; !ok || !strings.Contains(advice, c.advice) || (len(wrong) != 1 && c.before != nil && c.name != "no subscription") {
				t.Errorf("wrong are %v, want %s with advice about %s", wrong, c.subject, c.advice)
			}
		})
	}
}

// TestPolicy: Amazon may write into the queue, and not everybody.
func TestPolicy(t *testing.T) {
	allow := func(principal, action, more string) string {
		return `{"Effect":"Allow","Principal":` + principal + `,"Action":` + action + `,"Resource":"x"` + more + `}`
	}
	amazon := allow(`{"AWS":"arn:aws:iam::437568002678:root"}`, `["SQS:SendMessage","SQS:GetQueueAttributes"]`, "")
	for _, c := range []struct{ name, statement, want string }{
		{"Amazon", `[` + amazon + `]`, ""},
		{"one statement without a list", amazon, ""},
		{"Amazon and we", `[` + amazon + `,` + allow(`{"AWS":"arn:aws:iam::111122223333:root"}`, `"sqs:*"`, "") + `]`, ""},
		{"everybody may read", `[` + amazon + `,` + allow(`"*"`, `"sqs:GetQueueUrl"`, "") + `]`, ""},
		{"everybody may write", `[` + amazon + `,` + allow(`"*"`, `"sqs:SendMessage"`, "") + `]`, "everybody"},
		{"every account may do everything", `[` + amazon + `,` + allow(`{"AWS":"*"}`, `"*"`, "") + `]`, "everybody"},
		{"everybody on a condition", `[` + amazon + `,` + allow(`"*"`, `"sqs:*"`, `,"Condition":{"ArnEquals":{"aws:SourceArn":"y"}}`) + `]`, ""},
		{"Amazon is denied", `[` + strings.Replace(amazon, "Allow", "Deny", 1) + `]`, "Amazon may not"},
		{"Amazon may only read", `[` + strings.Replace(amazon, "SQS:SendMessage", "SQS:ReceiveMessage", 1) + `]`, "Amazon may not"},
		{"nothing", `[]`, "Amazon may not"},
		{"no statements", `7`, "no statements"},
	} {
		got := policyProblem(`{"Version":"2012-10-17","Statement":` + c.statement + `}`)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if policyProblem("") == "" {
		t.Error("a queue without a policy is right")
	}
}

// TestCheckChangesNothing: it writes nowhere, and takes no message.
func TestCheckChangesNothing(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	s.Subscribe()
	s.place(t, "85123A", 1, true)
	before := s.Stats()
	results, err := s.conn.Check.Check(context.Background())
	if wrong := failed(t, results); err != nil || len(wrong) != 0 {
		t.Fatalf("%v, %v", wrong, err)
	}
	after := s.Stats()
	if after.MessagesReceived != before.MessagesReceived || len(s.Writes()) != 0 || after.Calls["patchListingsItem"]+after.Calls["createSubscription"]+after.Calls["createReport"] != 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// TestSubscriptionsAreKept: made, left alone, and turned to the right queue.
func TestSubscriptionsAreKept(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.FBA = true })
	ctx := context.Background()
	made := func() int64 { return s.Stats().Calls["createSubscription"] }
	for range 2 {
		if err := s.conn.Webhooks.EnsureWebhooks(ctx, "https://not.used/"); err != nil {
			t.Fatal(err)
		}
	}
	if made() != 3 || s.Subscriptions() != 3 {
		t.Errorf("%d made, %d there, want 3", made(), s.Subscriptions())
	}
	s.Unsubscribe()
	if err := s.conn.Webhooks.EnsureWebhooks(ctx, ""); err != nil || made() != 6 || s.Stats().Calls["createDestination"] != 1 {
		t.Errorf("after they ended: %v, %d made, %d destinations, want all again at the one destination", err, made(), s.Stats().Calls["createDestination"])
	}
}
