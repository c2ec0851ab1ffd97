# What a person types. `make run` and `make test` are all that a newcomer needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run demo trainer test test-gpu lint test-server test-trainer fetch-for-tests build-server-tests build-trainer-tests sample-data learn methods frontier bench-trainer pictures sqlx-cache tiny-model clean

# Where the pretrained model and the data for tests lie; fetched once, outside git.
export LAUREL_SAMPLE_DATA ?= $(CURDIR)/data/sample-data
# Queries are checked against the committed cache; `make sqlx-cache` renews it.
export SQLX_OFFLINE ?= true

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build the server and serve with its own Postgres in ./data
	@scripts/prerequisites.sh run
	cargo build --release --locked -p laurel
	exec "$${CARGO_TARGET_DIR:-target}/release/laurel" serve

demo: ## The same with a sample project, in ./data/demo
	@scripts/prerequisites.sh run data/demo
	cargo build --release --locked -p laurel
	exec "$${CARGO_TARGET_DIR:-target}/release/laurel" demo --data-dir data/demo

trainer: ## Build the trainer (FEATURES=wgpu or cuda for a GPU)
	cargo build --release --locked -p laurel-trainer $(if $(FEATURES),--features $(FEATURES))

# Clippy is the compiler of our own code here, as `cargo clippy` makes it one, but of programs that are run afterwards: the
# lints come with the tests, and the dependencies are not gone through a second time for them alone.
test: export RUSTC_WORKSPACE_WRAPPER = clippy-driver
test: export CLIPPY_ARGS = -Dwarnings__CLIPPY_HACKERY__
test: ## Everything: format, lints, server, trainer, browser, the whole loop
	@scripts/prerequisites.sh build
	cargo fmt --all --check
	@# What comes from elsewhere is fetched while the first crates are built.
	$(MAKE) -j2 fetch-for-tests build-trainer-tests
	@# The server is built while the trainer's tests run, which keep all cores busy only now and then.
	$(MAKE) -j2 test-trainer build-server-tests
	$(MAKE) test-server
	@echo "everything passes"

lint: ## The lints alone, quicker than with the tests
	cargo fmt --all --check
	cargo clippy --locked -p laurel --all-targets -- -D warnings
	cargo clippy --locked -p laurel-trainer -p laurel-kernels -p laurel-records --all-targets -- -D warnings

TRAINER = -p laurel-trainer -p laurel-kernels -p laurel-records
GPU_TESTS = --test golden --test adapters --test precision --test score --test compress --test training

fetch-for-tests:
	@scripts/prerequisites.sh test
	scripts/sample_data.py --only smollm2
	scripts/sample_data.py --only openai
	scripts/sample_data.py --only axe

build-trainer-tests:
	cargo test --locked --no-run $(TRAINER)

# Cargo builds one thing at a time: who runs tests beside this goes first.
build-server-tests:
	sleep 10
	cargo test --locked --no-run -p laurel

test-trainer: fetch-for-tests build-trainer-tests
	cargo test --locked $(TRAINER)

# The loop test runs both programs; axe looks at every page.
test-server: fetch-for-tests
	cargo build --locked -p laurel-trainer
	cargo test --locked -p laurel

test-gpu: ## The trainer's tests on a GPU: FEATURES=wgpu DEVICE=wgpu, or cuda and cuda:0
	@# The generator of random numbers of a GPU is the whole program's: one test at a time.
	$(if $(and $(FEATURES),$(DEVICE)),,$(error say which: make test-gpu FEATURES=wgpu DEVICE=wgpu, or FEATURES=cuda DEVICE=cuda:0))
	LAUREL_TEST_DEVICE=$(DEVICE) cargo test --locked -p laurel-trainer --features $(FEATURES) --lib $(GPU_TESTS) -- --test-threads=1

sample-data: ## Fetch the pretrained model and the data of the sample task (about 110 MB)
	scripts/sample_data.py

tiny-model: ## Train the tiny model of the sample project again
	scripts/tiny_model.sh

learn: ## Show that the loop learns, from a real pretrained model in two rounds (18 to 35 minutes)
	scripts/sample_data.py
	cargo build --release --locked -p laurel -p laurel-trainer
	scripts/learn.py

methods: ## Compare PPO, DPO, best-of-n, RLOO and GRPO on the sample task, from the tiny model (about 10 minutes)
	cargo build --release --locked -p laurel -p laurel-trainer
	scripts/methods.py

frontier: ## Gold reward against the divergence, by PPO and by best-of-n, as a figure (about 5 minutes)
	cargo build --release --locked -p laurel -p laurel-trainer
	scripts/frontier.py

bench-trainer: ## Speed and memory of the trainer beside PyTorch's (which it installs: some gigabytes)
	scripts/sample_data.py
	scripts/bench_trainer.py

pictures: ## Take the pictures of docs/ again
	scripts/pictures.sh

sqlx-cache: ## Renew .sqlx after a query or a migration has changed
	scripts/sqlx_cache.sh

clean: ## Remove what was built; ./data stays
	cargo clean
