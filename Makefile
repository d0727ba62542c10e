# make demo    everything set up, a synthetic study, both levels, what was found
# make test    lint and tests; needs nothing but the package index
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO   := demo
JOBS   ?= $(shell nproc)

.PHONY: demo test lint venv bench clean ci-tools

$(STAMP): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,lint]'
	@touch $@

venv: $(STAMP)

demo: $(STAMP)
	$(BIN)/ketbids-demo $(DEMO) --nprocs $(JOBS)
	$(BIN)/ketbids $(DEMO)/bids $(DEMO)/out participant --derivatives $(DEMO)/derivatives/hcp \
	    --exclusions $(DEMO)/exclusions.tsv --nprocs $(JOBS)
	$(BIN)/ketbids $(DEMO)/bids $(DEMO)/out group --exclusions $(DEMO)/exclusions.tsv \
	    --permutations 1000 --nprocs $(JOBS)
	$(BIN)/ketbids-demo $(DEMO) --compare $(DEMO)/out

lint: $(STAMP)
	$(BIN)/ruff check ketbids tests benchmarks
	$(BIN)/ruff format --check ketbids tests benchmarks
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

test: lint
	$(BIN)/python -m pytest -n $(JOBS)

bench: $(STAMP)
	$(BIN)/python benchmarks/find_participant.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/calibration_glm.py --nprocs $(JOBS)
	$(BIN)/python benchmarks/circularity.py --nprocs $(JOBS)
	$(BIN)/python benchmarks/firstlevel.py
	$(BIN)/python benchmarks/mixed.py
	$(BIN)/python benchmarks/permutation.py
	$(BIN)/python benchmarks/smoothing.py
	@test -e $(DEMO)/out/group.html || echo 'benchmarks/power.py needs the study of "make demo"'
	@test ! -e $(DEMO)/out/group.html || $(BIN)/python benchmarks/power.py $(DEMO) --threads $(JOBS)

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Tools of the system that tests can use (root; for CI).
ci-tools:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends connectome-workbench python3-venv \
	    r-cran-emmeans r-cran-lmertest r-cran-nlme r-cran-pbkrtest
