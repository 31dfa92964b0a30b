/* SPDX-License-Identifier: GPL-2.0 */
/* What the MMU counts. */
#ifndef _UMBRA_MMU_STAT_H
#define _UMBRA_MMU_STAT_H

#include <linux/atomic.h>
#include <linux/types.h>

/* Per-VM counters of the MMU; names as in KVM where the meaning is the same. */
struct umbra_mmu_stat {
	u64 mmu_shadow_zapped;
	u64 mmu_pte_write;
	u64 mmu_pde_zapped;
	u64 mmu_flooded;
	u64 mmu_recycled;
	u64 mmu_cache_miss;
	u64 mmu_unsync;
	atomic64_t remote_tlb_flush;
	u64 remote_tlb_flush_requests;
	atomic64_t pages_4k;
	atomic64_t pages_2m;
	atomic64_t pages_1g;
	atomic64_t nx_lpage_splits;
	atomic64_t table_bytes;
	u64 max_mmu_rmap_size;
};

/* Per-vCPU counters of the MMU. */
struct umbra_mmu_vcpu_stat {
	u64 pf_taken;
	u64 pf_fixed;
	u64 pf_emulate;
	u64 pf_spurious;
	u64 pf_fast;
	u64 pf_mmio_spte_created;
	u64 pf_guest;
	u64 tlb_flush;
	u64 invlpg;
};

#endif /* _UMBRA_MMU_STAT_H */
