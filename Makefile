# Where the tests keep what they install; see tests/parts/provision.
export TABLETOPIC_CACHE ?= $(CURDIR)/.cache
# The Python that runs tests/readers.
export TABLETOPIC_PYTHON = $(TABLETOPIC_CACHE)/python/bin/python
BENCH_RESULTS ?= benches/results/$(shell date +%F).jsonl

.DEFAULT_GOAL := help
.PHONY: help check test bench parts

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## The quick loop: format, clippy with warnings denied, unit tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	cargo test --workspace --lib --bins --quiet

test: parts ## Everything: what the tests need is installed, a broker is started, all tests run, the broker is stopped
	cargo test --workspace --no-run
	tests/parts/kafka.py with -- cargo test --workspace

bench: parts ## What it costs: figures into benches/results, and from there into benches/README.md
	cargo build --release
	cargo bench --bench stages --no-run
	tests/parts/kafka.py with -- benches/catch_up.py $(BENCH_RESULTS)
	cargo bench --bench commits >> $(BENCH_RESULTS)
	benches/table.py $(BENCH_RESULTS) --write

parts: ## Installs what the tests need into the cache folder (TABLETOPIC_CACHE, by default .cache)
	tests/parts/provision
