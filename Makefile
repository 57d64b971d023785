# Where the tests keep what they install; see tests/parts/provision.
export TABLETOPIC_CACHE ?= $(CURDIR)/.cache
# The Python that runs tests/readers.
export TABLETOPIC_PYTHON = $(TABLETOPIC_CACHE)/python/bin/python
# How the compiler cuts crates into pieces decides what it inlines, and with it what tests/instructions counts.
export CARGO_INCREMENTAL = 1
HOURS ?= 8
BENCH_RESULTS ?= benches/results/$(shell date +%F).jsonl
PEERS_RESULTS ?= benches/results/peers-$(shell date +%F).jsonl

.DEFAULT_GOAL := help
# Most of the tests wait for a broker, a commit or a clock: more of them than cores run at once.
TEST_THREADS ?= 4

.PHONY: help check test test-full engines soak bench peers instructions parts

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## The quick loop: format, clippy with warnings denied, unit tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	cargo test --workspace --lib --bins --quiet

test: parts ## Everything: what the tests need is installed, a broker is started, all tests run, the broker is stopped
	cargo test --workspace --no-run
	RUST_TEST_THREADS=$(TEST_THREADS) tests/parts/kafka.py with -- cargo test --workspace

test-full: test engines ## `make test`, the tests that are too long for it, `make engines`, then three rounds of `make soak`: three or four hours
	tests/parts/kafka.py with -- cargo test --workspace --test e2e --test azurite -- --ignored
	tests/parts/kafka.py with -- cargo test --workspace --features gssapi --test e2e -- kerberos
	tests/parts/kafka.py with -- tests/soak/soak.py --rounds 3

engines: ## Every engine reads the tables, some write them, and maintenance changes no row: into tests/engines/results.md. Installs 2.2 GB: engines, and what only `make test-full` needs
	tests/parts/provision engines
	cargo build
	for where in "--store disk" "--store disk --compact" "--store s3" "--store s3 --catalog postgres" "--store s3 --catalog rest"; do \
	    tests/parts/kafka.py with -- $(TABLETOPIC_PYTHON) tests/engines/run.py $$where --write || exit 1; \
	done
	for store in disk s3; do \
	    tests/parts/kafka.py with -- $(TABLETOPIC_PYTHON) tests/engines/writers.py --store $$store --write || exit 1; \
	    tests/parts/kafka.py with -- $(TABLETOPIC_PYTHON) tests/engines/version_3.py --store $$store || exit 1; \
	done
	$(TABLETOPIC_PYTHON) tests/engines/maintained.py --write
	tests/parts/kafka.py with -- $(TABLETOPIC_PYTHON) tests/engines/second_writer.py

soak: ## Faults over and over, for HOURS=8: adds to tests/soak/README.md
	tests/parts/provision engines
	cargo test --workspace --no-run
	tests/parts/kafka.py with -- tests/soak/soak.py --hours $(HOURS)

bench: parts ## What it costs: figures into benches/results, and from there into benches/README.md
	cargo build --release
	cargo bench --bench stages --no-run
	tests/parts/kafka.py with -- benches/catch_up.py $(BENCH_RESULTS)
	for format in avro protobuf json-schema; do \
	    tests/parts/kafka.py with -- benches/catch_up.py $(BENCH_RESULTS) --format $$format || exit 1; \
	done
	for work in lineitem late; do \
	    tests/parts/kafka.py with -- benches/catch_up.py $(BENCH_RESULTS) --work $$work || exit 1; \
	done
	cargo bench --bench commits >> $(BENCH_RESULTS)
	tests/parts/s3.py with -- cargo bench --bench commits -- --warehouse s3://lake/bench >> $(BENCH_RESULTS)
	tests/parts/kafka.py with -- benches/memory.py $(BENCH_RESULTS)
	benches/table.py $(BENCH_RESULTS) --write

peers: ## Beside Kafka Connect's and Flink's Iceberg sinks, in turns: figures into benches/results, and from there into benches/RESULTS.md. Installs 0.4 GB beside what `make test` does
	tests/parts/provision peers
	cargo build --release
	tests/parts/kafka.py with -- benches/peers/run.py $(PEERS_RESULTS)
	benches/peers/page.py $(PEERS_RESULTS) --write

instructions: ## Stores how many instructions the hot stages take, for `make test` to compare with: CONTRIBUTING.md says when
	TABLETOPIC_INSTRUCTIONS=store cargo test --workspace --test instructions -- --nocapture

parts: ## Installs what the tests need into the cache folder (TABLETOPIC_CACHE, by default .cache)
	tests/parts/provision
