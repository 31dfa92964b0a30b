// SPDX-License-Identifier: GPL-2.0
/* The trace events' code is made here. */
#define CREATE_TRACE_POINTS
#include <umbra/trace.h>
