/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TAP for the unit tests: one line per test, the plan at the end.
 *
 *	ok(x == 1, "x is set");
 *	return tap_done();
 */
#ifndef UNIT_TAP_H
#define UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned int tap_tests;
static unsigned int tap_failures;

__attribute__((__format__(__printf__, 4, 5)))
static inline bool tap_result(bool passed, const char *file, int line, const char *format, ...)
{
	va_list args;

	tap_tests++;
	if (!passed)
		tap_failures++;
	printf("%sok %u - ", passed ? "" : "not ", tap_tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	if (!passed)
		printf("# failed at %s:%d\n", file, line);
	fflush(stdout);
	return passed;
}

#define ok(condition, ...)	tap_result(condition, __FILE__, __LINE__, __VA_ARGS__)

static inline int tap_done(void)
{
	printf("1..%u\n", tap_tests);
	return tap_failures ? 1 : 0;
}

#endif
