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
TOOLS  = setup demo playground test test-matrix bench
STAGES_ALONE = test-laws test-stress corpus-report
.PHONY: help $(TOOLS) $(STAGES_ALONE)

help:
	@echo 'make                  build'
	@echo 'make install          install into the PostgreSQL of PG_CONFIG'
	@echo 'make installcheck     pg_regress and isolation tests on the server of PGHOST, PGPORT'
	@echo 'make demo             play examples/demo.sql on a throwaway server'
	@echo 'make playground       keep PostgreSQL, PostgREST and nginx with examples until Ctrl-C'
	@echo 'make test             all tests on a throwaway server'
	@echo '                        STAGES="regress pgtap ..."  only these stages of'
	@echo '                          regress pgtap isolation tap rest laws corpus stress bench'
	@echo '                        TESTS="name name"                            only these tests'
	@echo '                        KEEP=1                                       keep the folder'
	@echo 'make test-stress      a long stress run; STRESS="--seconds 600" are its parameters'
	@echo 'make test-laws        the laws of the merge, a million times; LAWS="--triples 5000000"'
	@echo 'make corpus-report    what merge policies make of real concurrent edits'
	@echo 'make test-matrix      all tests, and the Debian packages, on PostgreSQL 15, 17 and 18'
	@echo '                        MATRIX="17 18" PARTS=packages  only these'
	@echo 'make bench            all benchmarks, side by side with the bare tables'
	@echo '                        BENCH="name name"  only these; RUNS=7, QUICK=1'
	@echo '                        JSON=file SVG=file            where the figures go'
	@echo 'make setup            only install what the tests need'
	@echo 'make clean            remove what was built'
	@echo 'Everywhere: PG_CONFIG=/path/to/pg_config chooses the PostgreSQL.'

$(TOOLS):
	@tools/$@

$(STAGES_ALONE):
	@tools/test

test-laws: export STAGES = laws
test-laws: export LAWS ?= --triples 1000000

test-stress: export STAGES = stress
test-stress: export STRESS ?= --seconds 600

corpus-report: export STAGES = corpus

export PG_CONFIG

# Everything below is for the targets that build or install.
ifneq (,$(filter-out help $(TOOLS) $(STAGES_ALONE),$(or $(MAKECMDGOALS),all)))

MODULE_big   = diagsync
OBJS         = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))

# The install script, joined from one part for each concern.
SQL_PARTS    = schema directory storage books entity link merge status sync synclog prune access api install
SQL_FILES    = $(SQL_PARTS:%=src/sql/%.sql)
SQL_UNLISTED := $(filter-out $(SQL_FILES),$(wildcard src/sql/*.sql))
ifneq (,$(SQL_UNLISTED))
$(error $(SQL_UNLISTED): not in SQL_PARTS of the Makefile)
endif

# What differs between versions of PostgreSQL is in one place.
VERSIONED   := $(shell grep -l PG_VERSION_NUM $(filter-out src/compat.h,$(wildcard src/*.[ch])))
ifneq (,$(VERSIONED))
$(error $(VERSIONED): PG_VERSION_NUM belongs into src/compat.h)
endif

DATA_built   = $(EXTENSION)--$(EXTVERSION).sql
DATA         = $(wildcard $(EXTENSION)--*--*.sql)

# Each test may be run alone, so the extension is loaded for it.
REGRESS        = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS   = --load-extension=$(EXTENSION)
ISOLATION      = $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=output_iso --load-extension=$(EXTENSION)

PG_CPPFLAGS  = -Isrc
# PostgreSQL's own headers have unused parameters.
PG_CFLAGS    = -Wall -Wextra -Wno-unused-parameter
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

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h)

$(DATA_built): $(SQL_FILES) $(EXTENSION).control Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit'; \
	  for part in $(SQL_FILES); do echo; cat "$$part" || exit 1; done; } > $@.tmp
	mv $@.tmp $@

endif
