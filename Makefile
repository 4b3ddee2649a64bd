# The commands of every day. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run ts-up test test-cluster lint bench soak fuzz

# How long a soak takes.
MINUTES ?= 30

# How long each fuzz target runs.
SECONDS_EACH ?= 60

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## The demo: eight test servers, a load balancer on 127.0.0.1:8080, requests
	cargo run --release --locked -- demo

ts-up: ## The eight test servers alone, on ports 8081, 8082, 8083 and 8085 to 8089
	cargo run --release --locked -p testserver -- --fleet

test: ## All tests; needs Cargo only
	cargo test --workspace --locked

test-cluster: ## What must hold in a real Kubernetes, in KUBECONFIG's or one of its own; e2e/cluster/README.md
	e2e/cluster/run

lint: ## Format, clippy, documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

fuzz: ## Every fuzz target for SECONDS_EACH=60; see fuzz/README.md for what it needs
	SECONDS_EACH=$(SECONDS_EACH) fuzz/run

soak: ## Mixed traffic, reloads and faults for MINUTES=30; fails if a request does, or if anything grows
	cargo build --release --locked -p outrigger
	cargo run --release --locked -p e2e --bin soak -- --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

bench: ## Outrigger beside its peers (NGINX, HAProxy and what bench/peers/install brings): 40 minutes
	bench/peers/install
	cargo run --release --locked -p bench
