/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a program in the emulated host marks what `testhost --count` counts:
 * a 32-bit OUT of the region to COUNT_PORT (after ioperm(COUNT_PORT, 4, 1)).
 */
#ifndef TESTHOST_COUNT_H
#define TESTHOST_COUNT_H

#define COUNT_PORT	0xea
#define COUNT_REGIONS	4096	/* 0 counts nothing that is reported */

#endif
