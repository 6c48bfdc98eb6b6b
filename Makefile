# Caregate. `make help` lists everything there is to call.
#
# One set of build flags everywhere, so that build, vet, test and the linters
# share one build cache: no cgo, no -trimpath, no version control stamp. Only
# the race detector and the fuzzer differ, and only `check` runs them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export CGO_ENABLED := 0
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

# What `caregate version` prints. Set by the linker, and only in `build`: a new
# commit relinks the binary and recompiles nothing.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Packages that start goroutines or are called by many at once.
RACE ?= $(patsubst %,./%/...,$(wildcard audit channel console internal/sample internal/store policy proxy redact vault))

# How many inputs one fuzz target gets in `check`; a time (1m) works as well.
FUZZTIME ?= 50000x

GO_TOOL := go tool -modfile=tools/go.mod
# All Go files of ours; node_modules and the data directory are not.
GO_FILES = $(shell find . \( -name node_modules -o -path ./.git -o -path ./data \) -prune -o -name '*.go' -print)

.PHONY: help build run test check bench fmt

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## compile the gateway to ./caregate
	@.ci/need go
	@echo "== build ./caregate $(VERSION) (the first time compiles Caddy, OPA and SQLite: about six minutes on two cores)"
	go build -ldflags "-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$(VERSION)" -o caregate ./cmd/caregate

run: build ## build, then play the demo and stay up until Ctrl-C
	@exec ./caregate demo

test: ## run all tests (installs Node and npm as root on Debian if missing)
	@.ci/need go
	@.ci/need node
	@.ci/need npm
	@echo "== go test ./... (the first time compiles Caddy, OPA and SQLite: about six minutes on two cores)"
	go test -timeout 20m ./...

check: ## formatting, generated files, precision and recall, linters, short fuzz, race detector
	@.ci/need go
	@.ci/need gcc
	@echo "== 1/9 gofmt"
	@unformatted=$$(gofmt -l $(GO_FILES)); if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	@echo "== 2/9 go.mod and tools/go.mod are tidy"
	go mod tidy -diff
	cd tools && go mod tidy -diff
	@echo "== 3/9 generated files are current"
	@.ci/generated
	@echo "== 4/9 import rule, package docs, names, forbidden text"
	go test -count=1 ./internal/archtest
	@echo "== 5/9 what is found in the labelled messages, and what is not: precision and recall"
	@go test -count=1 -v -run '^(TestCorpus|TestOutput|TestFalseAlarms)$$' ./redact | sed -n -e '/^ *class  *form/,/^ *$$/p' -e '/ want [0-9]/p' -e '/^\(---\|FAIL\|ok\)/p'
	@echo "== 6/9 go vet"
	go vet ./...
	@echo "== 7/9 staticcheck and golangci-lint (the first time compiles both: about four minutes on two cores)"
	$(GO_TOOL) staticcheck ./...
	$(GO_TOOL) golangci-lint run ./...
	@echo "== 8/9 fuzz, $(FUZZTIME) for each target"
	@.ci/fuzz $(FUZZTIME)
	@# -short: fewer reloads and fewer tampered files; `test` runs them all.
	@echo "== 9/9 race detector (cgo, so the first time compiles once more: about eight minutes on two cores)"
	CGO_ENABLED=1 go test -race -short -timeout 20m $(RACE)

bench: ## print the table of ratios (see bench/README.md)
	@.ci/need go
	go run ./bench

fmt: ## format all Go files
	@.ci/need go
	gofmt -w $(GO_FILES)
