package clickhouse

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// open makes a pool of connections to a database. It does not connect: the first query does.
func open(cfg Config, database string) (driver.Conn, error) {
	opts := &ch.Options{
		Protocol:         ch.HTTP,
		Addr:             cfg.Addrs,
		Auth:             ch.Auth{Database: database, Username: cfg.Username},
		DialTimeout:      5 * time.Second,
		ReadTimeout:      cfg.timeout(),
		MaxOpenConns:     8,
		ConnOpenStrategy: ch.ConnOpenInOrder,
	}
	if cfg.MaxConns > 0 {
		opts.MaxOpenConns = cfg.MaxConns
	}
	opts.MaxIdleConns = opts.MaxOpenConns
	if cfg.Protocol == Native {
		opts.Protocol = ch.Native
	}
	switch cfg.Compression {
	case "lz4":
		opts.Compression = &ch.Compression{Method: ch.CompressionLZ4}
	case "zstd":
		opts.Compression = &ch.Compression{Method: ch.CompressionZSTD, Level: 1}
	}
	if cfg.Password != "" {
		password, err := cfg.Password.Resolve()
		if err != nil {
			return nil, fmt.Errorf("clickhouse: password: %w", err)
		}
		opts.Auth.Password = password
	}
	if cfg.TLS.Enabled {
		opts.TLS = &tls.Config{ServerName: cfg.TLS.ServerName, MinVersion: tls.VersionTLS12}
		if cfg.TLS.CAFile != "" {
			pem, err := os.ReadFile(cfg.TLS.CAFile)
			if err != nil {
				return nil, fmt.Errorf("clickhouse: reading the authorities: %w", err)
			}
			opts.TLS.RootCAs = x509.NewCertPool()
			if !opts.TLS.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("clickhouse: %s holds no certificate", cfg.TLS.CAFile)
			}
		}
	}
	conn, err := ch.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	return conn, nil
}

// Codes of ClickHouse's errors that mean that tables are not as this version needs them.
// https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
const (
	codeNoSuchColumn      = 16
	codeUnknownIdentifier = 47
	codeTypeMismatch      = 53
	codeTableExists       = 57
	codeUnknownTable      = 60
	codeUnknownDatabase   = 81
	codeNotFoundColumn    = 10
)

var errorCode = regexp.MustCompile(`[Cc]ode:? (\d+)`)

// codeOf is the number of the server's error, 0 when it is none.
func codeOf(err error) int {
	if err == nil {
		return 0
	}
	var e *ch.Exception
	if errors.As(err, &e) {
		return int(e.Code)
	}
	if m := errorCode.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return 0
}

// SchemaError says that a table is not as this version needs it. It is transient: the batch
// is kept and its partition waits until somebody migrates.
type SchemaError struct {
	Database, Table, Column string
	// Want and Have are types; Have is empty when the column or table is missing.
	Want, Have string
}

func (e *SchemaError) Error() string {
	const way = "run `crossdock migrate` with the version that writes"
	switch {
	case e.Column == "":
		return fmt.Sprintf("clickhouse: table %s.%s does not exist: %s", e.Database, e.Table, way)
	case e.Have == "":
		return fmt.Sprintf("clickhouse: table %s.%s has no column %s: %s", e.Database, e.Table, e.Column, way)
	default:
		return fmt.Sprintf("clickhouse: column %s of table %s.%s is %s and should be %s: somebody changed it by hand; restore the type (ALTER TABLE %s MODIFY COLUMN %s %s), or drop the table and %s",
			e.Column, e.Database, e.Table, e.Have, e.Want, e.Table, "`"+e.Column+"`", e.Want, way)
	}
}

func ident(s string) string { return "`" + strings.ReplaceAll(s, "`", "\\`") + "`" }

// text quotes a string for SQL.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// scalar reads one value.
func scalar[T any](ctx context.Context, conn driver.Conn, sql string) (T, error) {
	var v T
	err := conn.QueryRow(ctx, sql).Scan(&v)
	return v, err
}
