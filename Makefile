# Fulmar. `make help` lists what you can ask for. Nothing here needs a network but `make setup`.

BUILD  ?= release
CC     ?= gcc
ifeq ($(origin CC),default)
CC     := gcc
endif
CXX    := $(if $(findstring clang,$(CC)),clang++,g++)
OUT    ?= out/$(BUILD)
ROOMS  ?= base os core wire loop extract store net browser worker pool api upkeep cli
PREFIX ?= /usr/local
T      ?=

VERSION := $(shell sed -n 's/^\#\# \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md 2>/dev/null | head -1)

WARN  := -Wall -Wextra -Wshadow -Wconversion -Wimplicit-fallthrough -Wformat=2 -Wvla -Wcast-qual \
         -Wwrite-strings -Wundef -Werror
CWARN := -Wstrict-prototypes -Wmissing-prototypes -Wframe-larger-than=16384
HARD  := -fstack-protector-strong -fstack-clash-protection -fPIE
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=3 $(HARD)
FLAGS_debug   := -O0 -g
FLAGS_points  := $(FLAGS_release) -DFULMAR_FAULT_POINTS
# Tests of these kinds are built more often than they compute: a fifth of the time to compile, and as fast to run.
$(addprefix $(OUT)/tests/,unit/%.o conform/%.o browser/%.o): PLAIN := -O0 -g1 -U_FORTIFY_SOURCE -Wno-frame-larger-than
# With sanitizers gcc forgets the ranges of numbers and sees texts cut that are not.
FLAGS_asan    := $(if $(findstring clang,$(CC)),,-Wno-format-truncation) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
                 -DFULMAR_SANITIZED=1 -DFULMAR_FAULT_POINTS
FLAGS_tsan    := -O1 -g -fsanitize=thread -DFULMAR_SANITIZED=1
FLAGS_cov     := -O0 -g --coverage
FLAGS_fuzz    := -O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DFULMAR_SANITIZED=1
LINK_release  := -pie -Wl,-z,relro,-z,now,-z,noexecstack
LINK_points   := $(LINK_release)
LINK_asan     := -fsanitize=address,undefined
LINK_tsan     := -fsanitize=thread
LINK_cov      := --coverage
LINK_fuzz     := -fsanitize=fuzzer,address,undefined

PKGS   := libuv libmicrohttpd libcurl simdjson libxml-2.0 yaml-0.1 sqlite3 hiredis libpq libseccomp libcares libzstd libsodium zlib
PKGCFL := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -ljq -lm -lpthread

COMMON  = -Isrc -D_GNU_SOURCE -DFULMAR_VERSION='"$(or $(VERSION),0.0.0)"' $(PKGCFL) $(WARN) $(FLAGS_$(BUILD)) $(PLAIN) -MMD -MP
CFLAGS  = -std=gnu17 $(CWARN) $(COMMON)
CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti $(COMMON)

LIBSRC := $(sort $(foreach r,$(ROOMS),$(wildcard src/$(r)/*.c src/$(r)/*/*.c src/$(r)/*.cc)))
LIBOBJ := $(addprefix $(OUT)/,$(addsuffix .o,$(basename $(LIBSRC)))) $(OUT)/gen/scripts.o
LUA    := $(wildcard src/store/redis/scripts/*.lua)
LIB    := $(OUT)/libfulmar.a
MAINOBJ := $(patsubst %.c,$(OUT)/%.o,$(sort $(wildcard src/main/*.c)))
PRACOBJ := $(patsubst %.c,$(OUT)/%.o,$(sort $(wildcard practice/*.c)))
UNITS  := $(patsubst tests/unit/%.c,$(OUT)/tests/unit/%,$(sort $(wildcard tests/unit/test_*$(T)*.c)))
CONFS  := $(patsubst tests/conform/%.c,$(OUT)/tests/conform/%,$(sort $(wildcard tests/conform/test_*$(T)*.c)))
MODELS := $(patsubst tests/model/%.c,$(OUT)/tests/model/%,$(sort $(wildcard tests/model/test_*$(T)*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(OUT)/tests/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*$(T)*.c)))

.DEFAULT_GOAL := build

$(OUT)/%.o: %.c
	@mkdir -p $(dir $@)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
$(OUT)/%.o: %.cc
	@mkdir -p $(dir $@)
	$(Q)$(CXX) $(CXXFLAGS) -c $< -o $@
$(OUT)/gen/scripts.c: tools/scripts.sh src/store/redis/scripts.h $(LUA)
	@mkdir -p $(dir $@)
	@tools/scripts.sh src/store/redis/scripts >$@
$(OUT)/gen/%.o: $(OUT)/gen/%.c
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
$(LIB): $(LIBOBJ)
	@mkdir -p $(dir $@)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(OUT)/fulmar: $(MAINOBJ) $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $(MAINOBJ) $(LIB) $(LIBS) -o $@
$(OUT)/fulmar-practice: $(PRACOBJ) $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $(PRACOBJ) $(LIB) $(LIBS) -o $@
$(OUT)/tests/fuzz/%: $(OUT)/tests/fuzz/%.o $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $< $(LIB) $(LIBS) -o $@
$(OUT)/tests/model/%: $(OUT)/tests/model/%.o $(OUT)/tests/model/model.o $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $< $(OUT)/tests/model/model.o $(LIB) -lcmocka $(LIBS) -o $@
$(OUT)/tests/sim/sim: $(addprefix $(OUT)/tests/sim/,sim.o service.o nodes.o plan.o watch.o keys.o hands.o batches.o sessions.o schedules.o fair.o refused.o hooks.o disk.o) $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $^ $(LIBS) -o $@
$(OUT)/tests/crash/crash: $(addprefix $(OUT)/tests/crash/,crash.o load.o vfs.o) $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $^ $(LIBS) -o $@
$(OUT)/tests/%: $(OUT)/tests/%.o $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $< $(LIB) -lcmocka $(LIBS) -o $@
$(OUT)/tools/%: $(OUT)/tools/%.o $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $< $(LIB) $(LIBS) -o $@
$(OUT)/bench/%: $(OUT)/bench/%.o $(LIB)
	$(Q)$(CXX) $(LINK_$(BUILD)) $< $(LIB) $(LIBS) -o $@
.SECONDARY:
Q := $(if $(V),,@)

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)

# ---- what you can ask for ----

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## install missing Debian packages (root or sudo)
	@tools/setup.sh

build: $(OUT)/fulmar $(OUT)/fulmar-practice ## build the programs into out/release

demo: ## the main job on the practice site, from nothing to checked records
	@tools/setup.sh
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@tools/demo.sh $(OUT)

run: build ## run the service in the foreground
	$(OUT)/fulmar serve

reference: $(OUT)/tools/reference ## write the reference pages that come from tables
	@for page in failures settings metrics; do $(OUT)/tools/reference $$page >docs/reference/$$page.md; done

lint: build $(OUT)/tools/reference $(OUT)/tools/simulate ## format, floors, sizes, unused code, self-contained headers, man pages, scripts, clang-tidy
	@find src practice tests bench tools -name '*.[ch]' -o -name '*.cc' | xargs clang-format --dry-run -Werror && echo "format: ok"
	@tools/floors.sh
	@tools/unused.sh $(OUT)
	@tools/sizes.sh
	@tools/scenarios.sh
	@tools/headers.sh
	@python3 tests/data/make.py --check
	@for page in failures settings metrics; do $(OUT)/tools/reference $$page | cmp -s - docs/reference/$$page.md || \
	    { echo "docs/reference/$$page.md is not what the table says: make reference"; exit 1; }; done
	@for page in deploy/man/*.[1-8]; do [ ! -e "$$page" ] || mandoc -Tlint -Wwarning "$$page" || exit 1; done
	@find tests tools bench .ci -name '*.sh' -o -path .ci/run | xargs shellcheck -S warning && echo "scripts: ok"
	@$(MAKE) --no-print-directory tidy

tidy: ## clang-tidy over src and practice
	@find src practice -name '*.c' | sort | xargs -P $$(nproc) -n 4 tools/tidy.sh && echo "tidy: ok"

fmt: ## format the sources
	find src practice tests bench tools -name '*.[ch]' -o -name '*.cc' | xargs clang-format -i

unit: $(UNITS) ## unit tests (T=name: only those)
	@tests/run.sh $(UNITS)

conform: $(CONFS) ## the store's and the server's promises
	@tests/run.sh $(CONFS)

model: $(MODELS) ## the store against its model, small worlds wholly, and the spin model
	@tests/run.sh $(MODELS)
	@models/check.sh
	@$(MAKE) --no-print-directory $(OUT)/tests/sim/sim
	@tests/sim/check.sh $(OUT)/tests/sim/sim

fixtures: $(OUT)/tests/unit/test_fixtures $(OUT)/tests/browser/test_dom ## every recorded page and answer against what has to come of it, also in Chromium
	@tests/run.sh $^
crash: $(OUT)/tests/crash/crash ## power loss at every call of the store, a disk that fails, torn logs, flipped bits: all of it, a quarter of an hour
	@$(OUT)/tests/crash/crash seed=$${SEED:-1}
	@tests/crash/check.sh $(OUT)/tests/crash/crash
mutants: ## mistakes put into a copy of the sources one by one: each must be found (M="name …": only those)
	@tests/mutations/run.sh $(M)

fuzzers: $(FUZZERS)
fuzz: ## fuzz targets (TARGETS="map html": only those) for SECONDS (60) from the seeds of tests/fuzz/corpus; KEEP=1: keeps what it finds
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=fuzz CC=clang fuzzers
	@tests/fuzz/run.sh out/fuzz/tests/fuzz $${SECONDS:-60}

system: build ## the real processes, real Chromium, kills and faults (TESTS="kill e2e": only those)
	@$(MAKE) --no-print-directory -j$$(nproc) CC=clang BUILD=points OUT=out/points build
	@POINTS=out/points tests/system/run.sh $(OUT)

check: ## install what is missing, build with gcc and clang, lint, test (also with sanitizers)
	@tools/setup.sh
	@tests/check.sh

soak: build ## 500 jobs one after the other: nothing grows
	@tests/system/soak.sh $(OUT)

versions: build ## this version and an earlier one (FROM: a commit; the one before the stores last changed) on one store, in turn and side by side
	@OLD=$$(tools/earlier.sh $(FROM)) && OLD=$$OLD tests/system/versions.sh $(OUT)

nodes: build ## four nodes, 400 jobs, for three minutes one of the nodes, Redis or PostgreSQL is killed every five seconds or so
	@NODES="north south east west" NODES_JOBS=400 KILLS=30 REST=3 tests/system/nodes.sh $(OUT)

volume: build ## 125 250 posts of 500 accounts by capture and by dom, compared with the truth
	@ACCOUNTS=500 STEP=1 SECONDS_MAX=7200 tests/system/volume.sh $(OUT)

bench: ## figures of docs/reference/benchmarks.md
	@bench/run.sh

sim: $(OUT)/tools/simulate $(OUT)/tests/sim/sim ## the queue's proof at length: SEEDS (10 000) storms, FULL (1000) on a disk that is full now and then, DAYS (100) days of storms on one store, a month by the rules, 10 million operations, two jobs wholly; SEED=n STORMS=1 (DISK=full): storms told step by step
	@if [ -n "$(SEED)" ]; then exec $(OUT)/tests/sim/sim seed=$(SEED) storms=$${STORMS:-1} $(if $(DISK),disk=$(DISK)) trace; fi; \
	    $(OUT)/tests/sim/sim count=$${SEEDS:-10000} && \
	    $(OUT)/tests/sim/sim count=$${FULL:-1000} disk=full && \
	    $(OUT)/tests/sim/sim count=$${DAYS:-100} storms=72 && $(MAKE) --no-print-directory sim-rest
sim-rest:
	@for seed in 1 2 3 4 5; do $(OUT)/tools/simulate seed=$$seed >$(OUT)/simulate.log || { cat $(OUT)/simulate.log; exit 1; }; tail -2 $(OUT)/simulate.log; done
	@$(MAKE) --no-print-directory conform T=store
	@MODEL_SIM=1 MODEL_OPS=$${MODEL_OPS:-10000000} MODEL_EPISODES=200 TEST_TIMEOUT=14400 \
	    $(MAKE) --no-print-directory model

install: build ## into PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/fulmar $(DESTDIR)$(PREFIX)/share/man/man1
	install $(OUT)/fulmar $(OUT)/fulmar-practice $(DESTDIR)$(PREFIX)/bin
	cp -R sites $(DESTDIR)$(PREFIX)/share/fulmar/
	install -m 644 deploy/man/fulmar.1 $(DESTDIR)$(PREFIX)/share/man/man1

clean: ## remove what was built
	rm -rf out

.PHONY: reference help setup build demo run lint tidy fmt unit conform model fixtures crash mutants fuzzers fuzz system check soak versions nodes volume bench sim sim-rest install clean
