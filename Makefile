# What there is to do here. CI runs story, studio-check, test and the journeys (.ci/run).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.identitystory
# One process a core, four at most: each holds torch and a small model.
PYTEST := $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile
PIP := $(BIN)/python -m pip install --quiet

.PHONY: venv story test check format mutants miniature lighthouse results studio studio-check

venv: $(STAMP)  ## .venv with everything needed to run and to test

# torch comes first, on its own, so that an index with processor builds is honoured.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) -c constraints.txt -e '.[dev]'
	touch $@

story: venv  ## paint the example story with the miniature
	$(BIN)/identitystory generate examples/lighthouse.toml --out runs/lighthouse

test: venv
	$(PYTEST)

check: venv  ## format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

mutants: venv  ## plant small mistakes, count those that tests notice; MUTANTS='--file masks.py --count 0'
	$(BIN)/python dev/mutants.py $(MUTANTS)

miniature: venv  ## draw the miniature's world and train the miniature again, from nothing; resumable
	$(BIN)/python -m miniature.train

lighthouse: venv  ## paint the story that the studio opens with, and pack it into the package
	$(BIN)/python dev/lighthouse.py

results: venv  ## Table 1 on the miniature, 40 stories of 10 scenes, hours: docs/results.md; resumable
	$(BIN)/identitystory bench --faces little-people --workers 2 --out runs/table1 --results docs/results.md

# The studio's page; Node 20.19 or newer, for those who change it. What it builds is committed.
STATIC := src/identitystory/studio/static

studio/node_modules: studio/package-lock.json
	cd studio && npm ci --no-audit --no-fund
	touch $@

studio: studio/node_modules  ## build the studio's page into the package
	cd studio && npm run build

studio-check: studio/node_modules  ## the page that is committed is what its sources build, byte by byte
	cd studio && npm run build -- --outDir ../build/studio
	diff -r build/studio $(STATIC)
