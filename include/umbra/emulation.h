/* SPDX-License-Identifier: GPL-2.0 */
/* The emulator at work for a vCPU: core/emulation.c. */
#ifndef _UMBRA_EMULATION_H
#define _UMBRA_EMULATION_H

#include <umbra/types.h>

struct umbra_fault;
struct umbra_vcpu;

/**
 * umbra_emulate_insn() - execute the instruction that made the vCPU exit
 * @vcpu: loaded
 * @fault: the fault it is about, or NULL for string I/O
 *
 * Context: vcpu->mutex and mmu.srcu held; may sleep.
 * Return: 1 to enter the guest again, 0 with vcpu->run describing an exit to
 * user space (vcpu->complete goes on afterwards), -errno.
 */
int umbra_emulate_insn(struct umbra_vcpu *vcpu, const struct umbra_fault *fault);

/**
 * umbra_emulation_read() - read guest memory at a linear address
 * @vcpu: loaded; its paging state is up to date
 * @gva: linear address; may cross a page
 * @buf: destination
 * @len: bytes
 * @exc: out: the exception to deliver when it fails
 *
 * Context: as above.
 * Return: 0 or -EFAULT with @exc filled.
 */
int umbra_emulation_read(struct umbra_vcpu *vcpu, u64 gva, void *buf, unsigned int len,
			 struct umbra_exception *exc);

#endif /* _UMBRA_EMULATION_H */
