# SPDX-License-Identifier: GPL-2.0
# Umbra: entry points. `make help` lists them; Kbuild says what umbra.ko is
# made of. Nothing is built in the source tree: see build/.

TOP := $(CURDIR)

all: module

# The kernel: KDIR, or KVER for one of Debian's (the highest ABI installed), or
# the running one when the tests are to run on this machine.
KVER ?= 6.1
ifeq ($(HOST),native)
KDIR ?= /lib/modules/$(shell uname -r)/build
endif
ifdef KDIR
KERNEL = $(shell sed 's/^\([0-9]*\.[0-9]*\).*/\1/' $(KDIR)/include/config/kernel.release)
# Its headers are there, and with them what they need to build.
deps-build: ;
else
KERNEL = $(KVER)
# Looked up when a recipe runs, after the target's packages are there.
KDIR = $(lastword $(shell ls -d /usr/src/linux-headers-$(KVER).*-amd64 2>/dev/null | \
	grep -v -e -rt- -e -cloud- | sort -V))
endif
# What umbra.ko in the top directory is for.
DEFAULT_KERNEL = $(if $(filter native,$(HOST)),$(KERNEL),6.1)

# 6.1, 6.12 or 6.1-debug.
KBUILD_OUT = $(TOP)/build/module/$(KERNEL)$(if $(filter 1,$(UMBRA_DEBUG)),-debug)

W ?= 1
KBUILD_ARGS = -C $(KDIR) M=$(KBUILD_OUT) UMBRA_DEBUG=$(UMBRA_DEBUG)
# Those who bring their own packages, as DKMS does, say DEPS=true.
DEPS := tools/deps.sh
UDEVDIR ?= /etc/udev/rules.d

module: shadow-tree
	$(MAKE) $(KBUILD_ARGS) W=$(W) modules
	@test $(notdir $(KBUILD_OUT)) != $(DEFAULT_KERNEL) || cp -f $(KBUILD_OUT)/umbra.ko umbra.ko

# Objects of several kernels must not mix and the kernel's build writes beside
# the sources, so each kernel gets a tree of symbolic links of its own.
shadow-tree: deps-build
	@test -n "$(KDIR)" && test -e "$(KDIR)/Makefile" || \
		{ echo "No headers of kernel $(or $(KDIR),$(KVER)); give KDIR= or KVER=" >&2; exit 1; }
	@tools/check/shadow-tree.sh $(KBUILD_OUT)

deps-%:
	@$(DEPS) $*

# Debian's headers have neither a key to sign with nor the System.map without which
# the kernel's own rule leaves depmod out.
INSTALL_MOD_PATH ?= $(DESTDIR)
SIGN = $(if $(wildcard $(KDIR)/certs/signing_key.pem),,CONFIG_MODULE_SIG_ALL=)
modules_install: module
	$(MAKE) $(KBUILD_ARGS) INSTALL_MOD_PATH=$(INSTALL_MOD_PATH) $(SIGN) modules_install
	install -D -m 0644 tools/install/60-umbra.rules $(INSTALL_MOD_PATH)$(UDEVDIR)/60-umbra.rules
	@test -n "$(INSTALL_MOD_PATH)" || \
		depmod `modinfo -F vermagic $(KBUILD_OUT)/umbra.ko | cut -d " " -f 1`
	@test -n "$(INSTALL_MOD_PATH)" || udevadm control --reload 2>/dev/null || true

# Lint.
sparse: shadow-tree deps-sparse
	@tools/check/sparse.sh $(KDIR) $(KBUILD_OUT)

style: deps-style
	@tools/check/style.sh

headers: shadow-tree source-tree
	@tools/check/headers.sh $(KDIR) $(TOP)/build/headers/$(KERNEL)

docs: deps-docs
	@tools/check/docs.sh

source-tree: deps-style
	@tools/lint/source.sh

# Tests and figures.
unit: source-tree deps-unit
	$(MAKE) -C selftests/unit check OUTPUT=$(TOP)/build/unit

fuzz: source-tree deps-fuzz
	$(MAKE) -s -C selftests/unit fuzz OUTPUT=$(TOP)/build/unit

# Of mmu/: lines that the unit tests reach, flushes and checks that they miss when
# they are taken out, 10^9 steps of the torture test.
coverage mutation soak: source-tree deps-unit
	$(MAKE) -s -C selftests/unit/mmu $@ OUTPUT=$(TOP)/build/unit/mmu

check: deps-check
	@tools/check/check.sh

# Debian's Linux in Debian's QEMU: each machine, number of CPUs, CPU model, paging mode.
linux-matrix: module deps-linux
	@tools/check/check.sh build_linux linux_matrix

# The kernel's own selftests, see Documentation/testing.rst.
upstream: deps-upstream
	@tools/upstream/upstream --results selftests/upstream/RESULTS

demo bench: %: deps-%
	@tools/bench/$@

clean:
	rm -rf build/module build/headers build/check build/docs build/unit build/api build/guest build/lib build/bench
	rm -f umbra.ko

distclean: clean
	rm -rf build

define HELP
Umbra: shadow paging and EPT, side by side, in one KVM-compatible module.

  make                 build umbra.ko (with W=1) for Debian's kernel 6.1
  make demo            one table: umbra and stock kvm, EPT and shadow paging
  make check           the whole gate; ends with "N passed, N failed"
  make bench           all benchmarks -> build/bench/results.csv
  make linux-matrix    boot Linux in QEMU in every combination (make check: in six)
  make upstream        the kernel's own KVM selftests -> selftests/upstream/RESULTS
  make unit            unit tests in user space, ASan and UBSan
  make fuzz            libFuzzer at the emulator and the MMU, half a minute
  make coverage        lines of mmu/ that the unit tests reach
  make mutation        take flushes and checks out of mmu/: the torture test must fail
  make soak            10^9 steps of the torture test
  make sparse          sparse over every source, zero warnings
  make style           checkpatch --strict, see tools/lint/checkpatch.conf
  make headers         each header compiles on its own
  make docs            Documentation as HTML in build/docs, and what it must name
  make modules_install install umbra.ko and the udev rule (0660 root:kvm); DESTDIR=DIR
  make clean           remove what was built; distclean also drops cached kernels

  KVER=6.1|6.12        which of Debian's kernels (build/module/KVER/umbra.ko)
  KDIR=DIR             any other kernel's build directory
  UMBRA_DEBUG=1        compile the costly assertions in
  HOST=native          demo, bench and check run on this machine's own VMX
                       instead of the emulated host
endef
export HELP

help:
	@echo "$$HELP"

.PHONY: all module shadow-tree modules_install sparse style headers docs source-tree \
	unit fuzz coverage mutation soak check linux-matrix upstream demo bench clean distclean help
