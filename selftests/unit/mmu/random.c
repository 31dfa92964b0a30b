// SPDX-License-Identifier: GPL-2.0
#include "random.h"

uint64_t random_state;
