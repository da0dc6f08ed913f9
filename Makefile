# make        everything from a bare machine: environment, notebooks, figures, numbers, FINDINGS.pdf, report
# make 04     one notebook
# make lab    the notebooks in JupyterLab
# make test   every check
# make bench  the timings of benchmarks/ (not part of make)
# make clean  forgets everything that make keeps: the environment, and stored training
# the first of these that runs and is recent enough
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
export PYTHONPATH := $(CURDIR)/notebooks
LONGEST := $(foreach number,09 08 13 10 04,$(wildcard notebooks/$(number)_*.ipynb))  # first, so that none is left alone
NOTEBOOKS := $(LONGEST) $(filter-out $(LONGEST),$(sort $(wildcard notebooks/*.ipynb)))
DONE := $(NOTEBOOKS:notebooks/%.ipynb=build/%.done)
NUMBERS := $(foreach name,$(NOTEBOOKS:notebooks/%.ipynb=%),$(firstword $(subst _, ,$(name))))
SOURCES := $(wildcard toymodels/*.py toymodels/*/*.py toymodels/*.mplstyle notebooks/studies/*.py) requirements.txt scripts/execute_notebook.py

# Up to four notebooks at a time, which share the cores.
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS := $(shell echo $$(($(CORES) < 4 ? $(CORES) : 4)))
MAKEFLAGS += --jobs=$(JOBS)

.PHONY: explorer all notebooks lab test bench clean $(NUMBERS)

all: notebooks
	$(PY) scripts/draw_thresholds.py
	$(PY) scripts/fill_readme.py
	$(PY) explorer/build.py
	@scripts/provide.sh tex && $(MAKE) --no-print-directory FINDINGS.pdf; status=$$?; \
	cat build/*.time > build/timings.txt; $(PY) scripts/reproduction_report.py build/timings.txt; \
	exit $$status

notebooks: $(DONE)

.SECONDEXPANSION:
$(NUMBERS): build/$$(notdir $$(basename $$(wildcard notebooks/$$@_*.ipynb))).done

.venv/installed: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; name it with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

build/%.done: notebooks/%.ipynb $(SOURCES) | .venv/installed
	mkdir -p build
	rm -f build/$*.time
	OMP_NUM_THREADS=$$(($(CORES) / $(JOBS))) $(PY) scripts/execute_notebook.py $< --log build/$*.time
	touch $@

FINDINGS.pdf: FINDINGS.tex CITATION.cff figures/numbers.tex figures/settings.tex $(wildcard figures/*.pdf)
	SOURCE_DATE_EPOCH=0 FORCE_SOURCE_DATE=1 latexmk -pdf -interaction=nonstopmode -halt-on-error -silent \
		-outdir=build FINDINGS.tex
	cp build/FINDINGS.pdf $@

lab: .venv/installed
	$(PY) -m jupyter lab notebooks

docs/index.html: $(wildcard explorer/*) toymodels/plots/phases.py $(wildcard figures/*.npz) | .venv/installed
	$(PY) explorer/build.py

explorer: docs/index.html  # the page on which superposition can be touched

test: .venv/installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	OMP_NUM_THREADS=1 $(PY) -m pytest  # the workers are the parallelism

bench: .venv/installed
	for script in benchmarks/*.py; do $(PY) $$script || exit 1; done

clean:
	rm -rf build .venv toymodels/__pycache__ toymodels/*/__pycache__ notebooks/studies/__pycache__
