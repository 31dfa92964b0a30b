# SPDX-License-Identifier: GPL-2.0
# What the Makefiles of the unit tests have in common. They set SRC, where they are,
# and EXTRA flags, include this, and say what each program of TESTS is made of.

TOP := $(abspath $(SRC)/../../..)
OUTPUT ?= $(TOP)/build/unit/$(notdir $(SRC))
OUT := $(abspath $(OUTPUT))

CFLAGS ?= -O1 -g
SANITIZE ?= -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS := -std=gnu11 -Wall -Wextra -Wno-unused-parameter -MMD -MP $(EXTRA) $(CFLAGS) $(SANITIZE) \
	-I$(TOP)/selftests/unit/include -I$(TOP)/include -I$(TOP)/build/linux-source

PROGRAMS = $(addprefix $(OUT)/,$(TESTS))

# The objects of a folder of ours.
objects = $(patsubst $(TOP)/$(1)/%.c,$(OUT)/$(1)-%.o,$(wildcard $(TOP)/$(1)/*.c))

all: programs

$(OUT):
	mkdir -p $@

define compile
$(OUT)/$(1)-%.o: $(TOP)/$(1)/%.c | $(OUT)
	$$(CC) $$(FLAGS) -c $$< -o $$@
endef

$(foreach folder,core emulate irqchip mmu,$(eval $(call compile,$(folder))))

$(OUT)/%.o: $(SRC)/%.c | $(OUT)
	$(CC) $(FLAGS) -c $< -o $@

# Build just one.
program-%: $(OUT)/%
	@:

.PHONY: all check clean programs
.SECONDARY:

-include $(wildcard $(OUT)/*.d)
