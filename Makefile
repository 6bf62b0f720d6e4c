# diagsync: builds, installs and tests the extension.  "make help" lists the
# targets.
#
# The usual PGXS targets (all, install, installcheck, clean, uninstall) need
# PostgreSQL's server headers.  The others start on a bare machine: they
# install what they need and work in a temporary folder (see tools/).

PG_CONFIG ?= pg_config

EXTENSION  = diagsync
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" diagsync.control)

.DEFAULT_GOAL := all

# Targets that need no server headers: what tools/NAME does, and single stages of
# tools/test with more of everything.
TOOLS  = setup demo playground test bench test-fuzz test-api test-matrix test-sanitize test-assert mutants coverage record-costs bench-scale
STAGES_ALONE = test-laws test-model test-concurrent test-stress test-crash test-sqlsmith corpus-report
.PHONY: help $(TOOLS) $(STAGES_ALONE)

help:
	@echo 'make                  build'
	@echo 'make install          install into the PostgreSQL of PG_CONFIG'
	@echo 'make installcheck     pg_regress and isolation tests on the server of PGHOST, PGPORT'
	@echo 'make demo             play examples/demo.sql on a throwaway server'
	@echo 'make playground       keep PostgreSQL, PostgREST and nginx with examples until Ctrl-C'
	@echo 'make setup            only install what the tests need'
	@echo 'make clean            remove what was built'
	@echo
	@echo 'make test             all tests on a throwaway server'
	@echo '                        STAGES="regress pgtap ..."  only these stages of'
	@echo '                          static mutants regress pgtap isolation orders tap rest laws'
	@echo '                          fuzz corpus model stress concurrent crash sqlsmith cost bench'
	@echo '                        TESTS="name name"           only these tests'
	@echo '                        JOBS=1                      so many stages side by side'
	@echo '                        KEEP=1                      keep the folder'
	@echo 'make bench            all benchmarks, side by side with the bare tables'
	@echo '                        BENCH="name name"  only these; RUNS=7, QUICK=1'
	@echo '                        JSON=file SVG=file where the figures go'
	@echo 'make bench-scale      what grows and what does not (docs/sizing.md); SCALE=0.01 PARTS=links'
	@echo 'make record-costs     what operations cost is what the stage cost compares with from now on'
	@echo 'make corpus-report    what merge policies make of real concurrent edits'
	@echo
	@echo 'Longer searches (docs/testing.md):'
	@echo 'make test-laws        the laws of the merge, a million times; LAWS="--triples 5000000"'
	@echo 'make test-fuzz        the merge core fuzzed; TIME=600 seconds, INPUT=file one input again'
	@echo 'make test-api         the HTTP API against its description; EXAMPLES=50'
	@echo 'make test-model       random histories against a model; N=10000 SEED=7 WORKERS=2'
	@echo 'make test-concurrent  concurrent histories; OPERATIONS=100000 SESSIONS=5 SEED=7'
	@echo 'make test-stress      a long stress run; STRESS="--seconds 600"'
	@echo 'make test-crash       crashes with SIGKILL; ROUNDS=300, SEED=7 the same choices again'
	@echo 'make test-sqlsmith    an unprivileged role does what it can; TIME=600 seconds'
	@echo 'make mutants          each safeguard taken out, and the test that fails; MUTANTS="name name"'
	@echo 'make coverage         which lines and branches of src/ the tests reach; HTML=folder'
	@echo 'make test-sanitize    undefined-behaviour and address sanitizers'
	@echo 'make test-assert      a PostgreSQL with assertions, and valgrind'
	@echo 'make test-matrix      all of it, and the Debian packages, on PostgreSQL 15, 17, 18 and 19;'
	@echo '                        MATRIX="18 19" PARTS=packages  only these'
	@echo 'Everywhere: PG_CONFIG=/path/to/pg_config chooses the PostgreSQL.'

$(TOOLS):
	@tools/$@

$(STAGES_ALONE):
	@tools/test

test-laws: export STAGES = laws
test-laws: export LAWS ?= --triples 1000000

test-model: export STAGES = model
test-model: export MODEL ?= --histories $(or $(N),10000) --workers $(or $(WORKERS),1) $(if $(SEED),--seed $(SEED))

test-stress: export STAGES = stress
test-stress: export STRESS ?= --seconds 600

test-crash: export STAGES = crash
test-crash: export CRASH ?= --rounds $(or $(ROUNDS),300) $(if $(SEED),--seed $(SEED))

test-sqlsmith: export STAGES = sqlsmith
test-sqlsmith: export SQLSMITH ?= --seconds $(or $(TIME),600)

test-concurrent: export STAGES = concurrent
test-concurrent: export CONCURRENT ?= --operations $(or $(OPERATIONS),100000) --sessions $(or $(SESSIONS),5) $(if $(SEED),--seed $(SEED))

test-fuzz: export TIME ?= 600

test-api: export EXAMPLES ?= 10

corpus-report: export STAGES = corpus

export PG_CONFIG

# Everything below is for the targets that build or install.
ifneq (,$(filter-out help $(TOOLS) $(STAGES_ALONE),$(or $(MAKECMDGOALS),all)))

MODULE_big   = diagsync
OBJS         = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

# The install script, joined from one part for each concern.
SQL_PARTS    = schema directory storage capture entity link merge status pushpull synclog prune guard feed access api install
SQL_FILES    = $(SQL_PARTS:%=src/sql/%.sql)
SQL_UNLISTED := $(filter-out $(SQL_FILES),$(wildcard src/sql/*.sql))
ifneq (,$(SQL_UNLISTED))
$(error $(SQL_UNLISTED): not in SQL_PARTS of the Makefile)
endif

EXTRA_CLEAN  = $(OBJS:.o=.d)

DATA_built   = $(EXTENSION)--$(EXTVERSION).sql
DATA         = $(wildcard $(EXTENSION)--*--*.sql)

# Each test may be run alone, so the extension is loaded for it.
REGRESS        = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS   = --load-extension=$(EXTENSION)
ISOLATION      = $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=output_iso --load-extension=$(EXTENSION)

PG_CPPFLAGS  = -Isrc
# PostgreSQL's own headers have unused parameters.
PG_CFLAGS    = -Wall -Wextra -Wno-unused-parameter -MMD -MP
ifeq ($(WERROR),1)
PG_CFLAGS   += -Werror
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq (,$(and $(wildcard $(PGXS)),$(wildcard $(shell $(PG_CONFIG) --includedir-server)/postgres.h)))
$(error PostgreSQL's server headers are missing; "make setup" installs them)
endif

# Without the clang that PostgreSQL was built with there is no bitcode for its
# JIT compiler; everything else works.
pgxs_var = $(shell sed -n 's/^$(1)[ \t]*=[ \t]*//p' $(dir $(PGXS))../Makefile.global)
ifeq (,$(and $(shell command -v $(call pgxs_var,CLANG)),$(wildcard $(call pgxs_var,LLVM_BINPATH)/llvm-lto)))
override with_llvm = no
endif

include $(PGXS)

# PostgreSQL 15 exports every function of a library to all others, where one of
# the same name may take its place.
ifeq (linux,$(PORTNAME))
SHLIB_LINK += -Wl,--version-script=src/diagsync.map
$(shlib): src/diagsync.map
endif

# What was compiled is compiled again where a header that it includes has changed.
-include $(OBJS:.o=.d)
$(OBJS:.o=.bc): $(wildcard src/*/*.h)

$(DATA_built): $(SQL_FILES) $(EXTENSION).control Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit'; \
	  for part in $(SQL_FILES); do echo; cat "$$part" || exit 1; done; } > $@.tmp
	mv $@.tmp $@

endif
