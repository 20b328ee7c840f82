# Every command that a person or a machine runs here. `make help` lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# A recipe is one shell, so that a trap holds for all of it; hence the brackets around cd.
.ONESHELL:

export CGO_ENABLED ?= 0
CACHE    := $(or $(CROSSDOCK_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/crossdock)
SERVICES := .services
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOFILES  := $(shell find . -name '*.go' -not -path './.cache/*' 2>/dev/null) go.mod go.sum $(shell find schemas internal -name '*.sql' -o -name '*.lua' 2>/dev/null)

# Tools are pinned here and built by the go command from their modules.
BUF       := go run github.com/bufbuild/buf/cmd/buf@v1.75.0
LINT      := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0
WORDS     := $(patsubst %/words.go,./%,$(wildcard connectors/*/words.go))
PROTOC_GO := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PROTOC_VT := github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto@v0.6.1-0.20240319094008-0393e58bdf10

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: build
build: bin/crossdock ## build bin/crossdock

bin/crossdock: $(GOFILES)
	go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/crossdock

.PHONY: run
run: bin/crossdock ## run everything on this machine: embedded engines, simulated shops
	bin/crossdock dev $(ARGS)

.PHONY: services
services: bin/crossdock ## start Apache Kafka, Redis and the ClickHouse engine on free loopback ports
	bin/crossdock services start --dir $(SERVICES)

.PHONY: services-stop
services-stop: ## stop them
	bin/crossdock services stop --dir $(SERVICES)

# Services are started for the run and stopped after it, whatever it ended with. Each test has
# its own topics, keys and database.
define with_services
	bin/crossdock services start --dir $(1)
	trap 'bin/crossdock services stop --dir $(1)' EXIT
	set -a; source $(1)/services.env; set +a
endef

.PHONY: test
test: bin/crossdock ## run all tests, on the real engines
	$(call with_services,$(SERVICES)-test)
	go test -timeout 20m ./...

.PHONY: race
race: bin/crossdock ## run the tests under the race detector
	$(call with_services,$(SERVICES)-race)
	CGO_ENABLED=1 go test -race -short -timeout 30m ./...

.PHONY: chaos
chaos: bin/crossdock ## kill every role at every named point, on the real engines (long)
	REQUIRE_SERVICES=1 CROSSDOCK_CHAOS=long go test -count=1 -timeout 60m -v ./test/chaos/...

.PHONY: bench
bench: bin/crossdock ## Go benchmarks, and the end-to-end load run
	$(call with_services,$(SERVICES)-bench)
	CROSSDOCK_BACKFILL=100000 go test -run '^$$' -bench . -benchmem ./...
	bin/crossdock bench --json

.PHONY: bench-once
bench-once: bin/crossdock ## one short run of each benchmark
	$(call with_services,$(SERVICES)-bench)
	go test -run '^$$' -bench . -benchtime 1x ./...

.PHONY: spec
spec: ## check the specifications of the protocols with TLC
	docs/spec/check.sh

.PHONY: generate
generate: ## make generated files anew
	mkdir -p $(CACHE)/gobin
	GOBIN=$(CACHE)/gobin go install $(PROTOC_GO)
	GOBIN=$(CACHE)/gobin go install $(PROTOC_VT)
	(cd schemas/proto && PATH=$(CACHE)/gobin:$$PATH $(BUF) generate)
	go run ./cmd/crossdock config schema > docs/crossdock.schema.json
	go run ./cmd/crossdock connectors --markdown > docs/connectors.md
	go run ./cmd/crossdock metrics --markdown > docs/metrics.md
	go test -count=1 -run '^TestWords$$' $(WORDS) -update

.PHONY: generated-clean
generated-clean: generate ## fail when a generated file is not up to date
	git diff --exit-code -- schemas docs 'connectors/*/words.go' || { echo 'generated files are not up to date: run make generate and commit'; exit 1; }

.PHONY: lint
lint: ## static checks: Go, Protobuf, breaking changes
	test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	$(LINT) run --allow-parallel-runners ./...
	(cd schemas/proto && $(BUF) lint)
	(cd schemas/proto && $(BUF) breaking --against released.binpb)

.PHONY: vuln
vuln: ## known vulnerabilities in what we call
	$(VULNCHECK) ./...
