// SPDX-License-Identifier: GPL-2.0
#include "random.h"

#ifdef UNIT_THREADS
__thread uint64_t random_state;
#else
uint64_t random_state;
#endif
