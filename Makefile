# `make` lists the targets. Everything a target needs beyond Rust, Python and a C compiler it installs itself.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Emulators, OpenBao, SAM and cargo subcommands (scripts/tools, versions in scripts/tools.txt).
export PORTCULLIS_TOOLS ?= $(CURDIR)/.tools
# A Python that has `cryptography`: the independent implementation of our formats.
export PORTCULLIS_PYTHON ?= $(PORTCULLIS_TOOLS)/ministack/bin/python
# Later in PATH than what the user has.
export PATH := $(PATH):$(PORTCULLIS_TOOLS)/bin:$(PORTCULLIS_TOOLS)/sam/bin

# The pinned toolchain where it is installed; else the stable one, if rustup may not fetch the pinned one.
ifneq ($(shell rustc --version >/dev/null 2>&1 && echo yes),yes)
export RUSTUP_TOOLCHAIN ?= stable
endif

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/portcullis
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
PEERS ?= ../shared/bench
export BENCH_WORK ?= $(CACHE)/bench
RUNS ?= 5
LOAD_MESSAGES ?= 100000
FUZZ_SECONDS ?= 600
FUZZ_TARGETS = $(sort $(basename $(notdir $(wildcard tests/fuzz/fuzz_targets/*.rs))))
SERVE_FLAGS ?= --demo
LAMBDAS := webhook pii sts authorizer rotation cloudtrail-responder guardduty-responder
# What `make lambda` and `make deploy` build with: cargo-lambda links by the zig that comes with it, for the glibc of Lambda.
export CARGO_ZIGBUILD_ZIG_PATH ?= $(PORTCULLIS_TOOLS)/sam/bin/python-zig
PROFILE ?= dev
# What the functions are built for; the parameter `Architecture` in samconfig.toml says the same, or `make deploy` refuses.
ARCHITECTURE ?= x86_64

##@ Use
.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## Build and start the whole stack on one local port, play the sample traffic, stay up until Ctrl-C
	@cargo build --profile local --locked --package portcullis-cli
	@exec "$(TARGET)/local/portcullis" serve $(SERVE_FLAGS)

.PHONY: test
test: tools bootstraps ## Run every test: unit, property, contract, end to end, documentation
	cargo test --locked --workspace --doc --quiet
	cargo nextest run --locked --workspace --no-fail-fast

##@ Check
.PHONY: lint fmt clippy deny advisories doc
lint: fmt clippy deny ## Format, clippy and dependency rules
fmt:
	cargo fmt --all --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
clippy:
	cargo clippy --locked --workspace --all-targets -- -D warnings
deny:
	@scripts/tools cargo-deny
	cargo deny --locked check licenses bans sources
advisories: ## Check dependencies against the RustSec database (fetches it from its home: not part of CI)
	@scripts/tools cargo-deny
	cargo deny check advisories
doc: ## Build the documentation of all packages, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

##@ Measure
.PHONY: bench bench-peers cold-start load size
bench: ## Time each piece (divan)
	cargo bench --locked --package portcullis-bench
bench-peers: ## Our column beside the peers' ($PEERS has run-peers; RUNS rounds; the first run sets up for 25 minutes)
	@test -x "$(PEERS)/run-peers" || { echo "PEERS=$(PEERS) has no run-peers: name the folder of the peer benchmark" >&2; exit 2; }
	cargo build --release --locked --package portcullis-bench
	@mkdir -p "$(BENCH_WORK)"
	@test -d "$(BENCH_WORK)/data" || { "$(PEERS)/run-peers" setup && "$(PEERS)/run-peers" gen; }
	sed 's|{target}|$(TARGET)|g' tests/bench/ours.json > "$(BENCH_WORK)/ours.json"
	"$(PEERS)/run-peers" run --runs $(RUNS) --extra "$(BENCH_WORK)/ours.json" --ours ours
cold-start: lambda ## Start of each Lambda binary as shipped: to the first `next`, and peak memory
	python3 tests/bench/cold_start.py "$(PEERS)" "$(TARGET)/lambda"
load: ## 100 000 messages from several senders, SIGKILL in the middle, nothing lost or doubled
	cargo build --profile local --locked --package portcullis-cli
	PORTCULLIS_BIN="$(TARGET)/local/portcullis" LOAD_MESSAGES=$(LOAD_MESSAGES) cargo test --locked --package portcullis-tests --test load -- --nocapture
size: lambda ## Each Lambda function as zipped, beside its budget (config/sizes.yml); fails when one is over
	@"$(PORTCULLIS_TOOLS)/sam/bin/python" scripts/sizes "$(TARGET)/lambda"

##@ Fuzz (needs a nightly toolchain)
.PHONY: fuzz fuzz-smoke fuzz-build
fuzz-build:
	@scripts/tools cargo-fuzz
	@scripts/fuzz build
fuzz: ## Every fuzz target for FUZZ_SECONDS (600) each
	@scripts/tools cargo-fuzz
	@scripts/fuzz run $(FUZZ_SECONDS) $(FUZZ_TARGETS)
fuzz-smoke: ## Every fuzz target over 20 000 inputs, the same every time
	@scripts/tools cargo-fuzz
	@scripts/fuzz smoke 20000 $(FUZZ_TARGETS)

##@ Lambda
.PHONY: lambda lambda-watch bootstraps
lambda: ## Build the Lambda binaries as they are shipped (cargo-lambda)
	@scripts/tools sam
	cargo lambda build --locked --release $(if $(filter arm64,$(ARCHITECTURE)),--arm64) $(addprefix --bin ,$(LAMBDAS))
lambda-watch: tools bootstraps ## Serve the functions on 127.0.0.1:9500 over emulated services, for `cargo lambda invoke`
	cargo run --locked --quiet --package portcullis-tests --bin with-emulators -- cargo lambda watch -A 127.0.0.1 -P 9500
# Debug builds that the tests start under the Runtime Interface Emulator. `--workspace --bin`, not `-p`: the same
# features as the tests, so that nothing is compiled twice.
bootstraps:
	cargo build --locked --workspace $(addprefix --bin ,$(LAMBDAS)) --bin portcullis

##@ Templates
.PHONY: templates build architecture deploy deploy-local e2e
templates: ## Unit tests of the templates and every scanner over them
	@scripts/tools infra sam cfn-guard
	@scripts/check-templates
# SAM builds one function after the other: here all are built at once before, and it finds them.
build: lambda ## Build what is deployed: the templates and every function, in .aws-sam (`sam build`)
	sam build --parameter-overrides Architecture=$(ARCHITECTURE)
architecture:
	@python3 scripts/check-architecture $(PROFILE) $(ARCHITECTURE)
deploy: architecture build ## Deploy to the AWS account of your credentials; PROFILE=prod for the full stack
	sam deploy --config-env $(PROFILE)
deploy-local: bootstraps ## Deploy the template to an emulator on this machine and print the URL
	@scripts/tools infra sam ministack
	@scripts/deploy-local

e2e: build ## From a checkout to the end: build, lint, deploy to the emulator, check over HTTP, compare calls with grants, tear down
	@scripts/tools sam ministack moto
	sam validate --lint
	@scripts/end-to-end --built

##@ Housekeeping
.PHONY: tools clean
tools: ## Install the tools that tests need into PORTCULLIS_TOOLS (first time: about five minutes)
	@scripts/tools
clean: ## Remove what was built (tools and benchmark data stay)
	cargo clean
	rm -rf tests/fuzz/target tests/fuzz/corpus tests/fuzz/artifacts
