// SPDX-License-Identifier: GPL-2.0
/* The end of a payload, for 64-bit and for 32-bit code. */
#include "common.h"

void stop(enum guest_call nr)
{
	for (;;)
		outl(GUEST_PORT_CALL, nr);
}

static void copy_string(char *dst, const char *src, unsigned long size)
{
	while (--size && *src)
		*dst++ = *src++;
	*dst = 0;
}

void check_failed(const char *file, u32 line, const char *expr, unsigned long got,
		  unsigned long want)
{
	copy_string(ctl->fail_file, file, sizeof(ctl->fail_file));
	copy_string(ctl->fail_expr, expr, sizeof(ctl->fail_expr));
	ctl->fail_line = line;
	ctl->fail_got = got;
	ctl->fail_want = want;
	stop(CALL_FAIL);
}
