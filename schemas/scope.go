package schemas

import (
	"fmt"
	"regexp"
	"strings"
)

// Environment separates test from production in every name that leaves a process.
type Environment string

// The two environments. A test connection cannot hold a production host.
const (
	Test       Environment = "test"
	Production Environment = "production"
)

// Scope is the tenant and the environment. It is part of every topic, consumer
// group, Redis key and ClickHouse database, so that two scopes can share the
// same engines and never see a record of each other.
type Scope struct {
	Tenant      string
	Environment Environment
}

var tenantName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// Validate reports what is wrong with the scope.
func (s Scope) Validate() error {
	if !tenantName.MatchString(s.Tenant) {
		return fmt.Errorf("tenant %q: use 1 to 32 of a-z, 0-9 and _, beginning with a letter", s.Tenant)
	}
	if s.Environment != Test && s.Environment != Production {
		return fmt.Errorf("environment %q: use %q or %q", s.Environment, Test, Production)
	}
	return nil
}

// prefix is "acme.test."; a dot never occurs inside its parts.
func (s Scope) prefix() string { return s.Tenant + "." + string(s.Environment) + "." }

// Topic is the topic's full name in Kafka, e.g. "acme.test.raw.orders.v1".
func (s Scope) Topic(t Topic) string { return s.prefix() + t.Name }

// Group is the full name of a consumer group, e.g. "acme.test.orders".
func (s Scope) Group(name string) string { return s.prefix() + name }

// Key is the full name of a Redis key, e.g. "acme.test.wm:{…}".
func (s Scope) Key(name string) string { return s.prefix() + name }

// Database is the ClickHouse database, e.g. "acme_test".
func (s Scope) Database() string { return s.Tenant + "_" + string(s.Environment) }

// Base cuts the scope off a full topic name; ok is false when it belongs to another scope.
func (s Scope) Base(full string) (name string, ok bool) { return strings.CutPrefix(full, s.prefix()) }
