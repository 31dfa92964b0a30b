/* SPDX-License-Identifier: GPL-2.0 */
/* Coalesced MMIO and port output: core/coalesced.c. */
#ifndef _UMBRA_COALESCED_H
#define _UMBRA_COALESCED_H

#include <umbra/types.h>

struct umbra_vm;

/**
 * umbra_coalesced_write() - keep writes for user space to read later
 * @vm: the VM
 * @pio: @addr is a port
 * @addr: address or port
 * @data: what is written, one after the other
 * @len: bytes of each, 1 to 8
 * @count: how many writes, all to @addr: kept all or none
 *
 * Context: any but interrupts.
 * Return: false when it is not for a zone, or the ring has no room: the vCPU has
 * to exit.
 */
bool umbra_coalesced_write(struct umbra_vm *vm, bool pio, u64 addr, const void *data,
			   unsigned int len, u32 count);

#endif /* _UMBRA_COALESCED_H */
