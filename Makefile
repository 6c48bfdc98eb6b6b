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
# proxy takes longest and begins first.
RACE ?= $(patsubst %,./%/...,$(wildcard proxy audit channel console internal/sample internal/store policy redact retention vault))

# How many inputs one fuzz target gets in `check`; a time (1m) works as well.
FUZZTIME ?= 20000x

# How many events the question of `bench` is asked over.
EVENTS ?= 200000
# How many records the index has in which `bench` looks for a person, and plans a purge.
RECORDS ?= 200000

GO_TOOL := go tool -modfile=tools/go.mod
# All Go files of ours; node_modules and the data directory are not.
GO_FILES = $(shell find . \( -name node_modules -o -path ./.git -o -path ./data \) -prune -o -name '*.go' -print)

.PHONY: help build run test check torture bench fmt

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## compile the gateway to ./caregate
	@.ci/need go
	@echo "== build ./caregate $(VERSION) (the first time compiles Caddy, OPA and SQLite: about six minutes on two cores)"
	go build -ldflags "-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$(VERSION)" -o caregate ./cmd/caregate

run: build ## build, then play the demo and stay up until Ctrl-C
	@exec ./caregate demo

test: ## run all tests (installs Node, PostgreSQL, Chromium, Python and OpenSSL as root on Debian if missing)
	@.ci/need go
	@.ci/need node
	@.ci/need npm
	@.ci/need postgres
	@.ci/need chromium
	@.ci/need python3
	@.ci/need openssl
	@echo "== go test ./... (the first time compiles Caddy, OPA and SQLite: about six minutes on two cores)"
	@.ci/gotest -timeout 40m ./...

check: ## formatting, generated files, precision and recall, linters, short fuzz, race detector
	@.ci/need go
	@.ci/need gcc
	@.ci/need postgres
	@echo "== 1/10 gofmt"
	@unformatted=$$(gofmt -l $(GO_FILES)); if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	@echo "== 2/10 go.mod and those of the tools are tidy"
	go mod tidy -diff
	cd tools && go mod tidy -diff
	cd tools/evidence && go mod tidy -diff && go vet ./...
	@echo "== 3/10 generated files are current"
	@.ci/generated
	@echo "== 4/10 import rule, package docs, names, forbidden text"
	go test -count=1 ./internal/archtest
	@echo "== 5/10 what is found in the labelled messages, and what is not: precision and recall"
	@go test -count=1 -v -run '^(TestCorpus|TestOutput|TestFalseAlarms)$$' ./redact | sed -n -e '/^ *class  *form/,/^ *$$/p' -e '/ want [0-9]/p' -e '/^\(---\|FAIL\|ok\)/p'
	@echo "== 6/10 go vet"
	go vet ./...
	@echo "== 7/10 staticcheck and golangci-lint (the first time compiles both: about four minutes on two cores)"
	$(GO_TOOL) staticcheck ./...
	$(GO_TOOL) golangci-lint run --allow-parallel-runners ./...
	@echo "== 8/10 fuzz, $(FUZZTIME) for each target, and properties of generated texts"
	@.ci/fuzz $(FUZZTIME)
	@echo "-- properties of the detector on 20,000 generated texts, always the same ones"
	go test -count=1 -run 'Properties$$' ./redact/walk -seeds 20000
	@echo "-- the detector as it is on processors for which there is no assembly"
	go test -tags purego ./redact/detect ./redact/spoken
	@echo "== 9/10 50 rounds of SIGKILL under load (make torture: 1,000)"
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; go build -o "$$tmp/" ./cmd/caregate ./test/torture && "$$tmp/torture" -caregate "$$tmp/caregate" -rounds 50
	@# -short: fewer reloads, faults and tampered files; `test` runs them all.
	@echo "== 10/10 race detector (cgo, so the first time compiles once more: about eight minutes on two cores)"
	@CGO_ENABLED=1 .ci/gotest -race -short -timeout 40m $(RACE)

torture: build ## kill the gateway 1,000 times under load, fail every system call of the log (an hour or more)
	go run ./test/torture -caregate ./caregate
	go test -count=1 -timeout 4h -run '^(TestFaultAtEveryCall|TestFaultAtEveryCallOfRollover|TestCrashImages)$$' ./audit -every -images 2000
	go test -count=1 -timeout 1h -run '^TestTrailKilledAtEveryCall$$' ./proxy -every
	go test -count=1 -timeout 1h -run '^TestSlowDisk$$' ./audit -overload 10m
	go test -count=1 -timeout 1h -run '^(TestManyValues|TestOnPostgres)$$/^ManyValues$$' ./vault -values 100000
	go test -count=1 -timeout 1h -run '^TestTokensLookLikeNothing$$' ./proxy -tokens 1000000
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; GOBIN="$$tmp" go install github.com/zricethezav/gitleaks/v8@v8.30.1 && go test -count=1 -timeout 2h ./test/detectors -tokens 1000000 -gitleaks "$$tmp/gitleaks"

bench: build ## print the table of ratios (see bench/README.md)
	@.ci/need go
	go run ./bench
	@echo "building of the tree, and who could have seen what, over $(EVENTS) events (EVENTS=5000000 writes for some minutes, 1.5 GB)"
	@go test -timeout 2h -run '^$$' -bench '^(BenchmarkTree|BenchmarkExposures)$$' -benchtime 200ms ./audit -events $(EVENTS) | grep -E '^(Benchmark|FAIL|---)'
	@echo "all records of one person, in an index of $(RECORDS) records (RECORDS=10000000 writes for some minutes, 3 GB)"
	@go test -timeout 2h -run '^$$' -bench '^BenchmarkFind$$' -benchtime 50x ./retention/index -records $(RECORDS) | grep -E '^(Benchmark|FAIL|---)'
	@echo "a plan of a purge over $(RECORDS) records, without holds and with one (RECORDS=1000000 writes for a minute)"
	@go test -timeout 2h -run '^$$' -bench '^BenchmarkPlan$$' -benchtime 1x ./retention/schedule -records $(RECORDS) | grep -E '^(Benchmark|FAIL|---)'

fmt: ## format all Go files
	@.ci/need go
	gofmt -w $(GO_FILES)
