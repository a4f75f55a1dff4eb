# make run        the service with a database and demo data, on http://127.0.0.1:8000
# make test       the suite on throw-away databases; ARGS="tests/domain -n0" runs a part of it
# make check      format, lint, types, layers, migrations
# make format     put the format right
# make generate   write the generated files again: contract, examples, problem types, docs/*.md, tests/snapshots
# make gates      list the other gates: gate-scan, gate-contract, …
# make security   prove what docs/threat-model.md promises, with figures, and take each guard away; needs nginx
# make benchmark  measure each operation beside the same SQL without the service (ARGS="--only list"; docs/performance.md)
# make growth     measure requests on databases of 10,000 and 100,000 cases; some minutes (docs/performance.md)
# make memory     measure the start of `serve`, and its memory under 100,000 requests; some minutes (docs/performance.md)
# make lock       resolve the dependencies again (UPGRADE=--upgrade takes newer ones)
# make clean      remove what make set up
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Python keeps what it has compiled, whatever the shell says: compiled anew, a worker of the suite begins, and each
# program that a test starts, takes twice as long. `make clean` takes it away.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
LOCK := requirements-dev.lock
# The stamp carries the contents, not the age, of what the environment is made from: a fresh checkout
# or a change of branch installs again only when something differs.
STAMP := .venv/.installed-$(shell cat $(LOCK) pyproject.toml | cksum | cut -d' ' -f1)

# Python from PATH, 3.11 before newer ones; a name that is there but does not start is passed over.
FIND_PYTHON = for name in python3.11 python3 python3.12 python3.13 python; do \
	if $$name -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo $$name; exit; fi; done; \
	echo 'Python 3.11 or later with its venv module is needed, and none was found on PATH.' >&2; exit 1

# The gates of .ci/run besides `make check` and `make test`, and seven that are run now and then.
GATES := $(addprefix gate-, scan contract browser fuzz crashes failover mail webhooks starvation scope whole coverage mutants faults contract-faults fuzz-faults)

.PHONY: help run test check format generate gates security benchmark growth memory lock clean $(GATES)

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

gates:
	@sed -n 's/^# \(gate-.*\)/make \1/p' Makefile

$(STAMP): | $(LOCK) pyproject.toml
	@python=$$($(FIND_PYTHON)); echo "Setting up .venv with $$($$python --version) …"; \
	$$python -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP)
	@exec $(BIN)/mediation-api dev

# `make test SAMPLES=whole`, as .ci/run calls it, runs all of what the suite otherwise samples or leaves out. On two
# workers: with three, the statements of an import once reached their time limit.
WHOLE := PROBES=whole LEAVING=whole STORIES=20 MATRIX=whole RACES=25 PROGRAMS=whole DRAWN=whole EDITS=whole FILTERS=whole ZONES=whole
test: $(STAMP)
	@$(if $(filter whole,$(SAMPLES)),$(WHOLE)) $(BIN)/python -m pytest \
		$(if $(filter whole,$(SAMPLES)),-n2 --dist=worksteal) $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@rm -rf build/migrations && mkdir -p build/migrations
	@# Each into a file of its own: of several transactions in one, squawk takes none for whole.
	@before=base; for file in migrations/versions/*.py; do \
		revision=$$(basename $$file | cut -c1-13); \
		$(BIN)/alembic upgrade $$before:$$revision --sql > build/migrations/$$revision.sql 2> build/alembic.log || \
			{ cat build/alembic.log >&2; exit 1; }; \
		before=$$revision; \
	done
	$(BIN)/squawk --config .squawk.toml build/migrations/*.sql

# These tools want other versions than the service does, and so live by themselves.
SCANNER_LOCK := .ci/scan.lock
SCANNER := .ci/.scanner
SCANNER_STAMP := $(SCANNER)/.installed-$(shell cat $(SCANNER_LOCK) | cksum | cut -d' ' -f1)
# What is generated or somebody else's is full of hashes.
NO_SECRETS := user:password@|user:secret@|api:secret@|api:c4n4ry@|"password": "secret"|_ALPHABET: Final|"token_jwks": "|whsec_|secret": "the same"|is shown once"|"id": "msg_|"signature": "v1,
UNSCANNED := \.lock$$|package-lock\.json$$|^openapi/.*\.json$$|/swagger-ui/|/examples\.json$$
SEMGREP = PATH="$(CURDIR)/$(SCANNER)/bin:$$PATH" semgrep
SEMGREP_QUIETLY := --metrics=off --disable-version-check

$(SCANNER_STAMP): $(SCANNER_LOCK)
	@python=$$($(FIND_PYTHON)); $$python -m venv --clear $(SCANNER)
	@$(SCANNER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(SCANNER_LOCK)
	@touch $@

# gate-scan             secrets, and what is dangerous in Python or against this project's own rules (.ci/semgrep)
gate-scan: $(SCANNER_STAMP)
	@git ls-files -z | grep -zvE '$(UNSCANNED)' | xargs -0 $(SCANNER)/bin/detect-secrets-hook --no-verify --disable-plugin HexHighEntropyString \
		--exclude-lines '$(NO_SECRETS)'
	@# B108: the embedded server needs a short path for its socket, and makes a folder with a name nobody can guess.
	@$(SCANNER)/bin/bandit --quiet --recursive --severity-level medium --skip B108 src
	@cd .ci/semgrep && $(SEMGREP) --test $(SEMGREP_QUIETLY) --quiet .
	@$(SEMGREP) scan $(SEMGREP_QUIETLY) --quiet --error --config .ci/semgrep/rules.yaml src migrations tests

format: $(STAMP)
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

# The contract twice: its examples are answers that are checked against the contract, and stand in it.
generate: $(STAMP)
	@$(BIN)/mediation-api settings > docs/settings.md
	@$(BIN)/mediation-api access > docs/access.md
	@$(BIN)/mediation-api events > docs/events.md
	@$(BIN)/mediation-api retention --schedule > docs/retention.md
	@$(BIN)/python -m tests.promises.page > docs/who-sees-what.md
	@$(BIN)/mediation-api openapi > openapi/mediation-api.v1.json
	@$(BIN)/python -m pytest -q -n0 --update-snapshots -k 'every_example or exactly_its_fields or snapshot' \
		tests/openapi/test_refusals.py tests/openapi/test_examples.py tests/scenarios/test_audiences.py tests/database/test_roles.py \
		tests/outreach/test_documents.py
	@$(BIN)/mediation-api openapi > openapi/mediation-api.v1.json
	@$(BIN)/python -c 'from mediation_api.http.problem_catalogue import markdown; \
		from mediation_api.texts.loader import load_texts; \
		print(markdown(load_texts().problem_titles), end="")' > openapi/problems.md

# gate-browser          the docs page in Chromium
gate-browser: $(STAMP)
	@$(BIN)/python -m pytest tests/browser -n0 $(ARGS)

# gate-fuzz             requests made up from the contract (FUZZ_DEEP=yes: more of everything; FUZZ_SEED, FUZZ_EXAMPLES)
gate-fuzz: $(STAMP)
	@$(BIN)/python -m pytest -n0 tests/contract/fuzz.py $(ARGS)

# gate-crashes          the service is killed while people write: nothing is lost, nothing happens twice
gate-crashes: $(STAMP)
	@$(BIN)/python -m pytest -n0 tests/contract/crashes.py $(ARGS)

# gate-failover         a database host dies, hangs, is cut off or full, or a clock jumps: nothing acknowledged is lost; a table
gate-failover: $(STAMP)
	@$(BIN)/python -m pytest -n0 tests/contract/failover.py $(ARGS)

# gate-mail             workers are killed while they send mail to a server that is unreliable: no mail is lost
gate-mail: $(STAMP)
	@$(BIN)/python -m pytest -n0 -s tests/contract/mail.py $(ARGS)

# gate-webhooks         workers are killed and receivers fail while people write: no webhook is lost or out of order; three minutes
gate-webhooks: $(STAMP)
	@$(BIN)/python -m pytest -n0 -s tests/contract/webhooks.py $(ARGS)

# gate-starvation       withdrawals are answered while others take all the connections that they can
gate-starvation: $(STAMP)
	@$(BIN)/python -m pytest -n0 tests/promises/starvation.py $(ARGS)

# gate-scope            the scenarios without row security, which would hide what the access scope lets through
gate-scope: $(STAMP)
	@POLICIES=off $(BIN)/python -m pytest tests/scenarios $(ARGS)

# gate-whole            all of what `make test` samples or leaves out: probes, cells, ways of leaving, stories, races, edits, …
SAMPLED := $(addprefix tests/, routers/test_probes.py routers/test_matrix.py promises/test_who_sees_what.py \
	repository/test_races.py promises/test_identity_races.py promises/test_record.py repository/test_audit_verification.py \
	routers/test_filters.py scenarios/test_local_day.py test_histories.py)
gate-whole: $(STAMP)
	@$(WHOLE) $(BIN)/python -m pytest $(SAMPLED) $(ARGS)
	@$(WHOLE) $(BIN)/python -m pytest -m 'program or drawn' tests $(ARGS)

# gate-coverage         every branch of the domain, by its own tests (of all: make test SAMPLES=whole ARGS=--cov)
gate-coverage: $(STAMP)
	@$(BIN)/python -m pytest -q -n0 tests/domain --cov --cov-fail-under=0 --cov-report=
	@$(BIN)/coverage report --include='*/domain/*' --fail-under=100

security: $(STAMP)
	@EDITS=whole HISTORIES=whole LEAVING=whole STORIES=60 STARVATION=whole MATRIX=whole PROBES=whole RACES=200 $(BIN)/python -m tests.security

# gate-fuzz-faults      shows that `fuzz` sees planted faults
gate-fuzz-faults: $(STAMP)
	@$(BIN)/python -m pytest -n0 tests/contract/faults.py $(ARGS)

benchmark: $(STAMP)
	@$(BIN)/python -m benchmarks.operations $(ARGS)

growth: $(STAMP)
	@$(BIN)/python -m benchmarks.growth $(ARGS)

memory: $(STAMP)
	@$(BIN)/python -m benchmarks.memory $(ARGS)

# importing             how fast complaints are imported, and what others feel of it (ARGS="--complaints 6000")
importing: $(STAMP)
	@$(BIN)/python -m benchmarks.importing $(ARGS)

# gate-mutants          small changes of the domain, each of which a test has to notice (ARGS="case target": in these)
# With one seed, sets have one order: what survives does not depend on the day.
gate-mutants: $(STAMP)
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.domain.mutants $(ARGS)

NODE_LOCK := openapi/package-lock.json
NODE_STAMP := openapi/node_modules/.installed-$(shell cat $(NODE_LOCK) | cksum | cut -d' ' -f1)
GENERATOR_LOCK := openapi/python-client.lock
GENERATOR_STAMP := openapi/.python-client/.installed-$(shell cat $(GENERATOR_LOCK) | cksum | cut -d' ' -f1)
CONTRACT_GATES := tests/gates/walks.py tests/gates/lint.py tests/gates/client.py tests/gates/journeys.py tests/gates/calendars.py

$(NODE_STAMP): $(NODE_LOCK) openapi/package.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || \
		{ echo 'Node.js 20 or later with npm is needed to check the contract.' >&2; exit 1; }
	@cd openapi && npm ci --ignore-scripts --silent
	@touch $@

# The generator of Python clients wants an older typer than the service, and so lives by itself.
$(GENERATOR_STAMP): $(GENERATOR_LOCK) | $(STAMP)
	@$(BIN)/python -m venv --clear openapi/.python-client
	@openapi/.python-client/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(GENERATOR_LOCK)
	@touch $@

# gate-contract         lint, clients and journeys of openapi/, the portal guide word for word, ical.js; needs Node.js 20 or later
gate-contract: $(STAMP) $(NODE_STAMP) $(GENERATOR_STAMP)
	@$(BIN)/python -m pytest --dist=loadfile $(CONTRACT_GATES) $(ARGS)

# gate-contract-faults  shows which gate sees each planted fault (ARGS=document or code)
gate-contract-faults: $(STAMP) $(NODE_STAMP) $(GENERATOR_STAMP)
	@$(BIN)/python -m tests.gates.faults $(ARGS)

# gate-faults           plants a fault of each kind where a rule draws it, and writes build/faults.md: which gate saw it
gate-faults: $(STAMP)
	@$(BIN)/python -m tests.gates.drawn $(ARGS)

# Extras stay in the names: of `coverage[toml]>=7`, a pip of 2023 takes the newest and then finds no hash for it.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-strip-extras --custom-compile-command 'make lock'

lock: $(STAMP)
	@$(COMPILE) $(UPGRADE) pyproject.toml --extra dev -o requirements-dev.lock
	@$(COMPILE) $(UPGRADE) pyproject.toml -c requirements-dev.lock -o requirements.lock
	@echo hatchling | $(COMPILE) $(UPGRADE) - -c requirements-dev.lock -o requirements-build.lock
	@$(COMPILE) $(UPGRADE) .ci/scan.in -o $(SCANNER_LOCK)
	@echo openapi-python-client | $(COMPILE) $(UPGRADE) - -o $(GENERATOR_LOCK)

clean:
	@rm -rf $(SCANNER) openapi/node_modules openapi/.python-client openapi/client-check/build
	@rm -rf .venv build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests migrations -name __pycache__ -prune -exec rm -rf {} +
	@echo 'The demo database in .mediation was kept; remove the folder to start anew.'
