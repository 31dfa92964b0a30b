/* SPDX-License-Identifier: GPL-2.0 */
/* One channel of the 8254, as a function of time. */
#ifndef _UMBRA_IRQCHIP_PIT_H
#define _UMBRA_IRQCHIP_PIT_H

#include <linux/kvm.h>
#include <linux/types.h>

u64 pit_ticks_to_ns(u64 ticks);
void pit_reset(struct kvm_pit_channel_state *c, bool gate, u64 now);
void pit_load(struct kvm_pit_channel_state *c, u32 count, u64 now);
bool pit_out(const struct kvm_pit_channel_state *c, u64 now);
void pit_latch_count(struct kvm_pit_channel_state *c, u64 now);
void pit_latch_status(struct kvm_pit_channel_state *c, u64 now);
void pit_set_mode(struct kvm_pit_channel_state *c, u8 control);
void pit_set_gate(struct kvm_pit_channel_state *c, bool gate, u64 now);
bool pit_write(struct kvm_pit_channel_state *c, u8 data, u32 *count);
u8 pit_read(struct kvm_pit_channel_state *c, u64 now);
void pit_sanitize(struct kvm_pit_channel_state *c, u64 now);

#endif /* _UMBRA_IRQCHIP_PIT_H */
