package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors"
	xredis "github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

func (a *App) checkKafka(ctx context.Context) []connectors.CheckResult {
	if err := a.Producer.Ping(ctx); err != nil {
		return []connectors.CheckResult{{Subject: "reachable", Detail: err.Error(), Advice: "see kafka.brokers, kafka.tls and kafka.sasl, and that the brokers' advertised addresses can be reached from here"}}
	}
	rs := []connectors.CheckResult{{Subject: "reachable", OK: true, Detail: strings.Join(a.Config.Kafka.Brokers, ", ")}}
	version, ok, err := a.Producer.Version(ctx)
	switch {
	case err != nil:
		rs = append(rs, connectors.CheckResult{Subject: "version", Detail: err.Error(), Advice: "allow the user to ask for API versions"})
	case !ok:
		rs = append(rs, connectors.CheckResult{Subject: "version", Detail: version, Advice: "use Apache Kafka 4.0 or newer"})
	default:
		rs = append(rs, connectors.CheckResult{Subject: "version", OK: true, Detail: version})
	}
	changes, err := a.Producer.PlanTopics(ctx, schemas.Topics(), a.Config.Layout())
	switch {
	case err != nil:
		rs = append(rs, connectors.CheckResult{Subject: "topics", Detail: err.Error(), Advice: "allow the user to describe topics and their configuration"})
	case len(changes) > 0:
		rs = append(rs, connectors.CheckResult{Subject: "topics", Detail: fmt.Sprintf("%d of %d are not as declared", len(changes), len(schemas.Topics())), Advice: "run `crossdock topics plan`, then `crossdock topics apply`"})
	default:
		rs = append(rs, connectors.CheckResult{Subject: "topics", OK: true, Detail: fmt.Sprintf("all %d as declared", len(schemas.Topics()))})
	}
	return rs
}

func (a *App) checkRedis(ctx context.Context) []connectors.CheckResult {
	var rs []connectors.CheckResult
	for _, r := range xredis.Check(ctx, a.Redis, a.Scope.Key("")) {
		rs = append(rs, connectors.CheckResult{Subject: r.Subject, OK: r.OK, Detail: r.Detail, Advice: r.Advice})
	}
	return rs
}

func (a *App) checkClickHouse(ctx context.Context) []connectors.CheckResult {
	rs, err := clickhouse.Check(ctx, a.Config.ClickHouseConfig())
	if err != nil {
		rs = append(rs, connectors.CheckResult{Subject: "reachable", Detail: err.Error(), Advice: "see clickhouse.addrs, protocol, username and password"})
	}
	return rs
}
