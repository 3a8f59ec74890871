# SPDX-License-Identifier: GPL-2.0-only
#
# make            the host tool, and the module if kernel headers are here
# make help       everything else
#
# "make demo" and "make check" need nothing installed beforehand: they create a
# Debian 13 root under build/root and work in there.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
MANDIR  ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions

B := build
IN_ROOT := selftests/vm/in-root

# ---------------------------------------------------------------- host tool

HOST_LIBS  := libbpf libelf libcrypto yyjson
# The C library's package is called msgpack-c, or msgpack before version 5.
HOST_LIBS  += $(shell pkg-config --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)
HOST_SRC   := $(sort $(wildcard host/*.c host/*/*.c shared/*.c))
HOST_OBJ   := $(HOST_SRC:%.c=$(B)/host/%.o)
CFLAGS     ?= -O2 -g
KT_CFLAGS   = -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Ishared -Ihost -Idocs \
	      $(shell pkg-config --cflags $(HOST_LIBS))
KT_LIBS     = $(shell pkg-config --libs $(HOST_LIBS)) -lpthread -lm

host: $(B)/bin/ktcollect

$(B)/bin/ktcollect: $(HOST_OBJ)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(HOST_OBJ) $(KT_LIBS)

$(B)/host/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(KT_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The assembler includes them.
$(B)/host/host/html.o: host/page.html
$(B)/host/host/schema.o: $(wildcard docs/*.schema.json)

-include $(HOST_OBJ:.o=.d)

# ------------------------------------------------------------------- module

KDIR    ?= /lib/modules/$(shell uname -r)/build
RELEASE  = $(or $(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null),unknown)
# Objects stay out of the source tree: build/kmod/RELEASE is the module's output
# directory (MO=). A kbuild that has no MO= gets a copy of the sources there.
# FAULTS=1 builds a module that can be told to fail, for tests only.
KMOD     = $(B)/kmod$(if $(FAULTS),-faults)/$(RELEASE)
HAVE_MO  = $(shell grep -ls KBUILD_EXTMOD_OUTPUT $(KDIR)/Makefile \
	     $$(sed -n 's/^include //p' $(KDIR)/Makefile 2>/dev/null))
KBUILD   = $(MAKE) -C $(KDIR) \
	   $(if $(HAVE_MO),M=$(CURDIR) MO=$(CURDIR)/$(KMOD),M=$(CURDIR)/$(KMOD)) $(if $(FAULTS),KTDUMP_FAULTS=y) \
	   $(if $(C),KBUILD_CHECKSRC=$(C) CHECK=$(SPARSE))
# Debian 13's sparse crashes on the headers of 7.3, the build root has a newer one.
# KBUILD_CHECKSRC: Debian's headers lack the script that C= asks for a good sparse.
SPARSE  ?= $(firstword $(wildcard /opt/sparse/usr/bin/sparse) sparse)

# Settable as usual: W=1 (more warnings), C=1 (sparse), V=1.
module:
	@test -e $(KDIR)/Makefile || { \
	  echo "no kernel headers at $(KDIR): install linux-headers-$$(uname -r), or say make module KDIR=DIR" >&2; exit 1; }
	@mkdir -p $(KMOD)
	$(if $(HAVE_MO),,@cp -ru Kbuild kmod shared $(KMOD))
	+@$(KBUILD) modules

modules_install: module
	+@$(KBUILD) INSTALL_MOD_PATH=$(DESTDIR) modules_install

HAVE_KDIR := $(if $(filter command line environment,$(origin KDIR)),yes,$(wildcard $(KDIR)/Makefile))
all: host $(if $(HAVE_KDIR),module)

# ---------------------------------------------------------------- man pages

MAN := $(patsubst man/%.rst,$(B)/man/%,$(wildcard man/*.[1-9].rst)) $(B)/man/ktdump-report.5 $(B)/man/ktdump-wire.7
RST2MAN := $(firstword $(shell command -v rst2man rst2man.py 2>/dev/null))

man: $(MAN)

$(B)/man/%: man/%.rst
	@mkdir -p $(@D)
	@test -n "$(RST2MAN)" || { echo "rst2man is missing: install python3-docutils" >&2; exit 1; }
	@echo "  MAN     $@"
	@$(RST2MAN) --halt=warning $< $@

# Two pages of docs/ are manual pages too.
$(B)/man/ktdump-report.5: SUMMARY = failure reports of sched_ext schedulers
$(B)/man/ktdump-wire.7: SUMMARY = what ktdump.ko sends to a collector
$(B)/man/ktdump-report.5: docs/report.md
$(B)/man/ktdump-wire.7: docs/wire.md
$(B)/man/ktdump-report.5 $(B)/man/ktdump-wire.7: man/from-docs
	@mkdir -p $(@D)
	@test -n "$(RST2MAN)" || { echo "rst2man is missing: install python3-docutils" >&2; exit 1; }
	@echo "  MAN     $@"
	@python3 man/from-docs $(@F) "$(SUMMARY)" <$(filter %.md,$^) >$@.rst
	@$(RST2MAN) --halt=warning $@.rst $@

install: host $(if $(RST2MAN),man)
	install -D -m 755 $(B)/bin/ktcollect $(DESTDIR)$(BINDIR)/ktcollect
	$(foreach m,$(if $(RST2MAN),$(MAN)),install -D -m 644 $(m) \
	  $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)) &&) true
	install -D -m 644 host/completion/ktcollect $(DESTDIR)$(COMPDIR)/ktcollect
	install -D -m 644 host/completion/_ktcollect $(DESTDIR)$(ZSHDIR)/_ktcollect
	+$(if $(wildcard $(KMOD)/ktdump.ko),$(MAKE) modules_install)

# -------------------------------------------------------------------- tests

# Everything the tests run, for every kernel of the root.  Used inside it.
test-build: host
	+@$(MAKE) --no-print-directory -C selftests

demo:
	@$(IN_ROOT) selftests/demo

check:
	@$(IN_ROOT) selftests/run $(TESTARGS)

check-unit:
	@$(IN_ROOT) selftests/run --only unit $(TESTARGS)

check-style:
	@$(IN_ROOT) selftests/run --only style $(TESTARGS)

# Which share of the collector's lines the unit tests run.
coverage:
	@$(IN_ROOT) selftests/coverage

# 60 s of CPU time for each fuzz target.
check-fuzz:
	@$(IN_ROOT) selftests/run --only fuzz $(TESTARGS)

# As long as SECONDS says, TARGET or all side by side; what they find is built on the next time.
SECONDS ?= 3600
fuzz:
	@$(IN_ROOT) make -j2 --no-print-directory host
	@$(IN_ROOT) make -j2 --no-print-directory -C selftests/fuzz all seeds
	@$(IN_ROOT) selftests/fuzz/fuzz --keep -s $(SECONDS) $(TARGET)

check-vm:
	@$(IN_ROOT) selftests/run --only vm $(TESTARGS)

# Fetches drgn and the kernels' debug information (500 MB each), once.
check-oracle:
	@$(IN_ROOT) selftests/run --only oracle $(TESTARGS)

# Builds kernels that check themselves, once; then all guest tests on them, for hours.
check-kernel:
	@$(IN_ROOT) selftests/run --only kernel $(TESTARGS)

# What the module costs, as ratios; not a part of check. Fetches perf, once.
bench:
	@$(IN_ROOT) selftests/run --only bench $(TESTARGS)

# ------------------------------------------------------------------- the rest

# The root takes minutes to make and stays; distclean removes it too.
clean:
	rm -rf $(filter-out $(B)/root $(B)/root.lock,$(wildcard $(B)/*))

distclean: clean
	@test ! -e /.ktdump-root || { echo "distclean does not work inside the root" >&2; exit 1; }
	@if [ "$$(id -u)" = 0 ] || [ ! -e $(B)/root ]; then rm -rf --one-file-system $(B); \
	else unshare --user --map-root-user --map-auto --mount rm -rf --one-file-system $(CURDIR)/$(B); fi

help:
	@echo "all              host tool, and the module when KDIR is given or headers are installed"
	@echo "host             build/bin/ktcollect"
	@echo "module           build/kmod/RELEASE/ktdump.ko   (KDIR=DIR, W=1, C=1, FAULTS=1)"
	@echo "man              manual pages"
	@echo "install          tool, manual pages, completions, module if built   (DESTDIR=, PREFIX=)"
	@echo "modules_install  the module alone   (KDIR=DIR, DESTDIR=)"
	@echo "demo             boot a guest, stall a scheduler, show the report"
	@echo "check            all tests   (TESTARGS='-t NAME -k 7.3', see selftests/run --help)"
	@echo "check-unit, check-style, check-fuzz, check-vm   one kind of tests"
	@echo "coverage         which share of the collector's lines the unit tests run"
	@echo "fuzz             fuzz targets for longer   (SECONDS=N of CPU time each, TARGET=NAME)"
	@echo "check-oracle     every field of reports against memory dumps read by drgn (fetches 500 MB per kernel)"
	@echo "check-kernel     all guest tests, and storms, on kernels with KASAN, lockdep, PREEMPT_RT (built first; hours)"
	@echo "bench            what the loaded module costs: ratios, and build/bench/results.json"
	@echo "clean            everything built, but not the root"
	@echo "distclean        the root too"

.PHONY: all host module modules_install man install test-build demo check check-unit \
	check-style coverage check-fuzz fuzz check-vm check-oracle check-kernel bench clean distclean help
