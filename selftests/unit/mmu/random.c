// SPDX-License-Identifier: GPL-2.0
#include "random.h"

#ifdef UNIT_THREADS
__thread uint64_t random_state;
#else
uint64_t random_state;
#endif

#ifdef UNIT_FUZZ
const uint8_t *random_input;
size_t random_left;
#endif
