# `make` lists the targets. Everything is installed into .venv; nothing needs root, Docker or a GPU.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DATA ?= ../shared/data
GRAPH ?=
STORE ?= sqlite
AUTH ?= none
BENCH ?= engine
SIZES ?= 5,20
SEEDS ?= 1
OUT ?= build/results
VLLM ?=
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
TYPESCRIPT := clients/typescript
BUF := @bufbuild/buf@1.75.0
UV := uv==0.13.9

.DEFAULT_GOAL := help
.PHONY: help install lock model demo serve up down pin-images test test-typescript fuzz lint lint-helm format proto train train-learning train-report results bench bench-gpu picture audit sbom licences clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml requirements/torch.txt requirements/server.txt requirements/ray.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (torch is large: this takes some minutes, once) ..."
	sh requirements/install.sh $(RUN) dev
	$(RUN) -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

install: $(STAMP) ## create .venv with everything that is locked; KGT_TORCH_INDEX names another index for torch

lock: $(STAMP) ## resolve pyproject.toml's requirements into requirements/; UPGRADE=1 takes the newest versions
	$(RUN) -m pip install -qq $(UV)
	$(RUN) requirements/lock.py $(if $(UPGRADE),--upgrade)

model: $(STAMP) ## fetch and convert the default model (93 MB, once)
	@$(RUN) -m server.lm.fetch

demo: model ## show a correction taking effect, in a minute; GRAPH=FILE on your own graph, STORE=neo4j on Neo4j, AUTH=jwt with tokens
	@KGT_STORE= $(if $(filter neo4j,$(STORE)),$(RUN) -m testbed.neo4j) $(RUN) -m demo --auth '$(AUTH)' $(if $(GRAPH),--graph '$(GRAPH)')

serve: model ## serve on 127.0.0.1:50051 (settings: README.md)
	@exec $(RUN) -m server

up: .env ## start Neo4j, a loader and the server in containers (docker-compose.yml); KGT_LOAD says what to load
	$(COMPOSE) build
	$(COMPOSE) up -d

down: ## stop the containers; the graph stays in its volume
	$(COMPOSE) down

pin-images: .env ## write the digests of the base images that this machine pulls to .env
	@sh docker/pin-images.sh docker-compose.yml $<

.env: # a random password that only this user can read
	@umask 077; $(PYTHON) -c 'import secrets; print("KGT_NEO4J_PASSWORD=k" + secrets.token_urlsafe(24))' > $@

test: model ## run all tests, including those of the default model
	$(RUN) -m pytest

test-typescript: $(STAMP) ## build the TypeScript client and test it against the server, if npm is found
	@if command -v npm >/dev/null; then \
	  cd $(TYPESCRIPT) && npm ci && PYTHON='$(abspath $(RUN))' npm test; \
	  else echo "npm was not found: $(TYPESCRIPT) is not tested"; fi

fuzz: $(STAMP) ## run the fuzzer for longer than the tests do
	$(RUN) -m tests.fuzz

lint: $(STAMP) ## run ruff, mypy --strict, import-linter, and buf if npm is found
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports
	@if command -v npm >/dev/null; then npm exec --yes --package=$(BUF) -- buf lint proto; \
	  else echo "npm was not found: proto/ is not linted"; fi

lint-helm: $(STAMP) ## lint and render the chart, and check it against Kubernetes' schemas, if Go is found
	@PYTHON='$(CURDIR)/$(RUN)' sh deploy/helm/lint.sh

format: $(STAMP) ## format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

proto: $(STAMP) ## regenerate kgt/v1 and, if npm is found, the TypeScript client's messages from proto/
	$(RUN) proto/generate.py .
	@if command -v npm >/dev/null; then \
	  npm --prefix $(TYPESCRIPT) ci && $(RUN) proto/generate.py --typescript $(TYPESCRIPT)/src/gen; \
	  else echo "npm was not found: $(TYPESCRIPT) is not generated"; fi

train: model ## train the adapter (about an hour on 2 cores); DATA: the reference data, START: an adapter to go on from
	$(RUN) -m training train --data '$(DATA)' $(if $(START),--start '$(START)')

train-learning: model ## train the learning template's own adapter (about half an hour on 2 cores)
	$(RUN) -m training learning

train-report: model ## write docs/model.md: the base model with and without the adapter
	$(RUN) -m evaluation report --data '$(DATA)'

results: model ## edit facts with all systems of the paper, and score them, in an hour on 2 cores; SIZES, SEEDS, OUT: a folder, where a stopped run goes on
	$(RUN) -m evaluation run --data '$(DATA)' --method all --sizes '$(SIZES)' --seeds '$(SEEDS)' --out '$(OUT)'

bench: model ## measure: BENCH=engine, service, personalize, generation, store, load, subject, recall or telemetry; its last line is JSON
	$(RUN) -m bench.$(BENCH)

bench-gpu: $(STAMP) ## measure large models with random weights on a GPU; VLLM=PYTHON compares with that Python's vLLM
	$(RUN) -m bench.gpu $(if $(VLLM),--vllm '$(VLLM)')

picture: ## draw the pictures in docs/ from their texts (needs graphviz)
	for text in docs/*.dot; do dot -Tsvg "$$text" -o "$${text%.dot}.svg"; done

audit: $(STAMP) ## ask for known vulnerabilities of all locked packages; fails if nobody could be asked
	$(RUN) requirements/audit.py

sbom: $(STAMP) ## write build/sbom.json: what is shipped (with Ray: EXTRA=ray), in CycloneDX's format
	@mkdir -p build
	cat requirements/torch.txt requirements/server.txt $(EXTRA:%=requirements/%.txt) > build/shipped.txt
	$(VENV)/bin/cyclonedx-py requirements build/shipped.txt --pyproject pyproject.toml --output-reproducible -o build/sbom.json

licences: $(STAMP) ## write docs/licences.md from the metadata of what is shipped
	$(RUN) requirements/licences.py

clean: ## remove what was built, but not the model
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf $(addprefix $(TYPESCRIPT)/,node_modules dist build)
