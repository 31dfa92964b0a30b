// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests that play single scenes on the simulated machine share: a broken
 * rule ends them, and nothing happens but what the scene says.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "machine.h"

struct machine_counts counts;
bool sim_ept_ad, sim_mmio, sim_pml;

void violation(const char *format, ...)
{
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nBail out!\n");
	fflush(stdout);
	abort();
}

void interfere(bool may_notify)
{
}

void interfere_inside(void)
{
}
