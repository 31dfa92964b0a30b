/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the emulated host sends over port 0xE9: frames of a header and up to
 * FRAME_MAX bytes. The emulator writes the port's bytes to its own standard
 * output, so anything outside a frame is the emulator talking.
 */
#ifndef TESTHOST_FRAME_H
#define TESTHOST_FRAME_H

#include <stdint.h>

#define FRAME_PORT	0xe9
#define FRAME_MAX	4096
#define FRAME_MAGIC	{ 0x1b, 0xfe, 0x0e, 0x9f }

enum frame_channel {
	FRAME_START = 'b',	/* user space has been reached */
	FRAME_STDOUT = 'o',
	FRAME_STDERR = 'e',
	FRAME_KLOG = 'k',	/* kernel log, when the command is done */
	FRAME_EXIT = 'x',	/* one byte: exit status; nothing follows */
};

struct frame_header {
	uint8_t magic[4];
	uint8_t channel;
	uint8_t size[2];	/* little endian */
} __attribute__((packed));

#endif
