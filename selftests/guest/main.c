// SPDX-License-Identifier: GPL-2.0
/* Picks the payload that the host asked for. */
#include "rt.h"

#define PAYLOAD(name, ops, flags) void payload_##name(void);
#include "payloads.h"
#undef PAYLOAD

static void (*const payloads[])(void) = {
#define PAYLOAD(name, ops, flags) payload_##name,
#include "payloads.h"
#undef PAYLOAD
};

void guest_main(u64 id)
{
	trap_init(id);
	payloads[ctl->payload]();
	if (id == 0)
		finish();
	for (;;)
		__asm__ volatile("hlt");
}
