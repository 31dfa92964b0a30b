/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The MMU: what core/ and vmx/ may ask of it.
 *
 * mmu/ knows no VMCS and no VM object. It works on struct umbra_mmu (one per
 * VM) and struct umbra_mmu_vcpu (one per vCPU), which core/ embeds in its own
 * objects, and asks the CPU side for the few things in struct umbra_cpu_ops.
 * The unit tests embed the same two structs in a simulated machine.
 *
 * Unless a function says otherwise the caller holds mmu->srcu for read and may
 * sleep, and calls for one umbra_mmu_vcpu come from one thread at a time
 * (vcpu->mutex).
 */
#ifndef _UMBRA_MMU_H
#define _UMBRA_MMU_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <umbra/memslot.h>
#include <umbra/mmu_audit.h>
#include <umbra/mmu_limit.h>
#include <umbra/mmu_stat.h>
#include <umbra/types.h>

struct umbra_mmu;
struct umbra_mmu_vcpu;
struct umbra_shadow;

/* Which tables the CPU walks now for this vCPU. */
enum umbra_family {
	UMBRA_FAMILY_EPT,
	UMBRA_FAMILY_SHADOW,
};

/**
 * enum umbra_direct - what a guest may do without an exit in the shadow family
 * @UMBRA_DIRECT_NONE: nothing: every #PF exits, and INVLPG
 * @UMBRA_DIRECT_HOLES: a #PF goes to the guest when it says *not present*
 * @UMBRA_DIRECT_USER: a #PF goes to the guest when a user access met no reserved
 *	bit
 * @UMBRA_DIRECT_INVLPG: INVLPG need not exit
 */
enum umbra_direct {
	UMBRA_DIRECT_NONE = 0,
	UMBRA_DIRECT_HOLES = BIT(0),
	UMBRA_DIRECT_USER = BIT(1),
	UMBRA_DIRECT_INVLPG = BIT(2),
};

/* The VM's policy, values of UMBRA_PAGING_* in the user-space ABI. */
enum umbra_policy {
	UMBRA_POLICY_EPT,
	UMBRA_POLICY_SHADOW,
};

/**
 * enum umbra_fault_result - what came of a fault
 * @UMBRA_FAULT_FIXED: an entry was installed; re-enter
 * @UMBRA_FAULT_SPURIOUS: the tables already allowed it; re-enter
 * @UMBRA_FAULT_RETRY: something changed meanwhile; re-enter and fault again
 * @UMBRA_FAULT_EMULATE: the instruction has to be emulated: MMIO, a read-only
 *	slot, or a write to a tracked guest table; see fault->gpa, ->tracked
 * @UMBRA_FAULT_GUEST: the guest's own fault; inject fault->guest
 *
 * Functions return one of these (>= 0) or a negative errno: -EFAULT (memory
 * behind the slot cannot be had), -ENOMEM, -EHWPOISON, -EINTR.
 */
enum umbra_fault_result {
	UMBRA_FAULT_FIXED,
	UMBRA_FAULT_SPURIOUS,
	UMBRA_FAULT_RETRY,
	UMBRA_FAULT_EMULATE,
	UMBRA_FAULT_GUEST,
};

/**
 * struct umbra_fault - one fault on its way through the MMU
 * @addr: gpa for an EPT violation, gva for a #PF in the shadow family
 * @access: UMBRA_ACC_*; PRESENT as reported by the CPU
 * @walk: EPT: the CPU made this access while walking the guest's own tables
 *	(qualification: linear address valid, and not the final translation), so
 *	that emulating the instruction would not help
 * @gpa: out: the guest physical address, once known
 * @tracked: out: with EMULATE, the target is a write-tracked guest table
 * @mmio: out: with EMULATE, no slot has the address (or a read-only slot
 *	is written)
 * @self_map: out: with EMULATE and @tracked, the write goes through the very
 *	table it modifies, so that zapping and retrying would loop
 * @guest: out: with GUEST, the exception to inject
 */
struct umbra_fault {
	u64 addr;
	u32 access;
	bool walk;

	gpa_t gpa;
	bool tracked;
	bool mmio;
	bool self_map;
	struct umbra_exception guest;
};

/**
 * struct umbra_paging_state - guest registers that decide how an address is
 *	translated
 * @cr0: CR0 as the guest sees it
 * @cr3: CR3 as the guest sees it (with PCID bits)
 * @cr4: CR4 as the guest sees it
 * @efer: EFER as the guest sees it
 * @pkru: PKRU, which counts with CR4.PKE
 * @rflags_ac: RFLAGS.AC
 * @cpl: current privilege level
 * @maxphyaddr: bits; from the vCPU's CPUID
 * @has_gbpages: CPUID allows 1 GiB pages
 * @state_legal: VM entry would take the rest of the guest state without
 *	unrestricted guest (DESIGN 3.2); kept by vmx/
 *
 * vmx/ brings all of it up to date before any call into the MMU.
 */
struct umbra_paging_state {
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 efer;
	u32 pkru;
	bool rflags_ac;
	u8 cpl;
	u8 maxphyaddr;
	bool has_gbpages;
	bool state_legal;
};

/**
 * struct umbra_cpu_ops - what the MMU needs from the CPU side
 * @kick_all: make every vCPU of the VM leave guest mode, wait until each has
 *	been seen outside. Called without mmu_lock or with it held for write;
 *	must not sleep. After it, a vCPU compares its tlb_gen with the VM's
 *	before it enters again, and what the CPU had logged for it by then has
 *	gone through umbra_mmu_log_gpas().
 * @set_logging: @mmu->nr_logged has become zero, or is no longer: each vCPU looks
 *	at it before it enters the guest again. Only with umbra_mmu_caps.pml; must
 *	not sleep.
 * @request_reload: ask one vCPU to call umbra_mmu_load() before it enters again
 *	(its root was zapped). Any context.
 */
struct umbra_cpu_ops {
	void (*kick_all)(struct umbra_mmu *mmu);
	void (*set_logging)(struct umbra_mmu *mmu);
	void (*request_reload)(struct umbra_mmu_vcpu *vcpu);
};

/**
 * struct umbra_mmu - one VM's page tables of both families
 * @lock: mmu_lock; held for read by EPT faults and by those that add leaves to
 *	shadow pages, for write by everything else that changes the shadow family,
 *	and by what removes rights
 * @srcu: guards @memslots
 * @memslots: current set
 * @policy: fixed before the first vCPU is created
 * @ops: the CPU side
 * @tlb_gen: the newest flush debt. A vCPU whose own tlb_gen differs flushes
 *	everything of the VM before it enters the guest
 * @tlb_paid: newest generation for which kick_all() has returned
 * @tlb_leftovers: counts entries that CPUs may know although they have followed
 *	the guest's tables (@lock for write)
 * @tlb_collected: how many of them have become a debt
 * @invalidate_seq: grows when an invalidation ends (write: @lock for write)
 * @invalidate_count: invalidations in progress (@lock for write)
 * @invalidate_start: first hva of the union of those in progress
 * @invalidate_end: first hva after it
 * @ept_root: hpa of the level-4 EPT table, INVALID_PAGE when none
 * @ept_pages: number of EPT table pages
 * @nr_logged: slots whose writes are logged, among those published and those
 *	about to be (slots_lock)
 * @nx_huge: large EPT leaves are not executable (@lock for write)
 * @nx_cursor: where umbra_mmu_recover_nx() goes on (@lock for write)
 * @shadow: state of the shadow family, NULL until first used
 * @page_limit: shadow pages that user space allows; 0: it does not care (@lock for
 *	write)
 * @reclaim_link: among all VMs, see mmu/reclaim.c, whose lock guards it
 * @retiring: slot that is being deleted, see umbra_mmu_slot_retire()
 * @vcpus: vCPUs by index, for tracking of roots (@lock)
 * @nr_vcpus: how many of @vcpus are set
 * @stat: counters
 */
struct umbra_mmu {
	rwlock_t lock;
	struct srcu_struct srcu;
	struct umbra_memslots __rcu *memslots;
	enum umbra_policy policy;
	const struct umbra_cpu_ops *ops;

	atomic64_t tlb_gen;
	atomic64_t tlb_paid;
	atomic64_t tlb_leftovers;
	atomic64_t tlb_collected;

	unsigned long invalidate_seq;
	long invalidate_count;
	hva_t invalidate_start;
	hva_t invalidate_end;

	hpa_t ept_root;
	atomic_long_t ept_pages;
	unsigned int nr_logged;
	bool nx_huge;
	gfn_t nx_cursor;
	struct umbra_shadow *shadow;
	unsigned long page_limit;
	struct list_head reclaim_link;
	struct umbra_memslot *retiring;

	struct umbra_mmu_vcpu *vcpus[UMBRA_MAX_VCPUS];
	unsigned int nr_vcpus;

	struct umbra_mmu_stat stat;
};

/* Objects kept ready so that nothing is allocated under mmu_lock. */
#define UMBRA_CACHE_OBJECTS	40

struct umbra_mmu_cache {
	unsigned int nr;
	void *obj[UMBRA_CACHE_OBJECTS];
};

/* Roots that a vCPU keeps besides the current one, for CR3 switches. */
#define UMBRA_PREV_ROOTS	4

/**
 * struct umbra_recall - a walk of the guest's tables that may be used again
 * @nr: entries read; 0 when nothing is remembered
 * @access: UMBRA_ACC_* that it was for
 * @gva: page
 * @gpa: its translation
 * @generation: of the set of slots by which @hva was found
 * @state: registers then
 * @gpte: the entries, as they were left
 * @hva: where they are
 */
struct umbra_recall {
	unsigned int nr;
	u32 access;
	u64 gva;
	gpa_t gpa;
	u64 generation;
	struct umbra_paging_state state;
	u64 gpte[5];
	hva_t hva[5];
};

/**
 * struct umbra_mmu_vcpu - one vCPU's view of the page tables
 * @mmu: the VM's
 * @state: guest registers, kept by vmx/
 * @family: which tables the CPU walks; changed only by
 *	umbra_mmu_state_changed()
 * @root: hpa that vmx/ loads: EPT root for FAMILY_EPT, value for CR3 for
 *	FAMILY_SHADOW: a table of 4 or 5 levels for a guest in long mode, else
 *	one of four PDPTEs, below 4 GiB, which the CPU has to read again at
 *	each VM entry; INVALID_PAGE asks for umbra_mmu_load(). In FAMILY_SHADOW
 *	the hardware must run with CR0.WP, CR4.PAE and EFER.NXE set and
 *	CR4.PCIDE clear, whatever the guest has, with the guest's own CR4.LA57,
 *	CR4.SMEP, CR4.SMAP, CR4.PKE, EFER.LMA and PKRU, and page faults and INVLPG must exit
 *	unless @direct says otherwise
 * @direct: what need not exit in FAMILY_SHADOW. Others may lower it, with
 *	mmu_lock held for write, and then kick; vmx/ looks at it before entry, after
 *	it has said that it is in guest mode
 * @invlpg_run: how many INVLPGs have exited since the last use of what was invalidated
 * @invlpg_gva: the last of them
 * @alone: the last fault needed mmu_lock for write, as the next one may
 * @direct_wait: root loads until leaves are dropped again for the sake of @direct
 * @direct_penalty: how long to wait when that was for nothing
 * @tlb_gen: generation of the VM's flush debts that this vCPU has flushed
 * @flush_guest: the guest asked for (or a root switch needs) a flush of this
 *	vCPU's own linear translations; vmx/ does it at entry and clears it
 * @pdptrs: the four PDPTEs as loaded, when the guest uses PAE paging
 * @table_cache: zeroed pages for tables
 * @sp_cache: struct shadow_page
 * @rmap_cache: rmap chain nodes
 * @shadow_root: shadow_page of @root in FAMILY_SHADOW (mmu_lock)
 * @leave_shadow: out of umbra_mmu_shadow_fault(): the shadow family cannot go on;
 *	vmx/ calls umbra_mmu_state_changed(), and again when CR0 or CR4 change
 * @pae_root: root for guests outside long mode, kept once there is one: its
 *	entries (mmu_lock)
 * @root_pdptrs: the PDPTEs that @pae_root was made from
 * @prev_root: shadow_pages of the last other roots, newest first (mmu_lock)
 * @role: the vCPU's root role word, as mmu/ defines it
 * @seen_cr0: CR0 at the last umbra_mmu_state_changed()
 * @seen_cr4: CR4 then
 * @seen_efer: EFER then
 * @recall: the last walk for a fetch
 * @mmio_gfn: EPT: frame without memory that was used last
 * @mmio_gen: umbra_memslots.mmio_gen for which that is so; 0 for never
 * @stat: counters
 */
struct umbra_mmu_vcpu {
	struct umbra_mmu *mmu;
	struct umbra_paging_state state;
	enum umbra_family family;
	hpa_t root;
	u32 direct;
	unsigned int invlpg_run;
	u64 invlpg_gva;
	bool alone;
	unsigned int direct_wait;
	unsigned int direct_penalty;
	u64 tlb_gen;
	bool flush_guest;
	u64 pdptrs[4];

	struct umbra_mmu_cache table_cache;
	struct umbra_mmu_cache sp_cache;
	struct umbra_mmu_cache rmap_cache;
	void *shadow_root;
	void *prev_root[UMBRA_PREV_ROOTS];
	bool leave_shadow;
	void *pae_root;
	u64 root_pdptrs[4];
	u32 role;
	u64 seen_cr0;
	u64 seen_cr4;
	u64 seen_efer;
	struct umbra_recall recall;
	gfn_t mmio_gfn;
	u64 mmio_gen;

	struct umbra_mmu_vcpu_stat stat;
};

/**
 * struct umbra_mmu_caps - what the CPUs can do, common to all of them
 * @ept_ad: EPT accessed and dirty flags
 * @ept_2m: 2 MiB EPT leaves
 * @ept_1g: 1 GiB EPT leaves
 * @pml: page-modification logging: while mmu->nr_logged is not zero, CPUs log
 *	each frame whose dirty flag they set in an EPT leaf
 * @pt_addr_bits: address bits in entries of the CPUs' own tables that are not
 *	reserved; more than @host_maxphyaddr where memory encryption takes some
 * @mmio_caching: keep entries for frames without memory
 * @host_maxphyaddr: bits
 */
struct umbra_mmu_caps {
	bool ept_ad;
	bool ept_2m;
	bool ept_1g;
	bool pml;
	bool mmio_caching;
	u8 host_maxphyaddr;
	u8 pt_addr_bits;
};

/**
 * umbra_mmu_module_init() - caches and tables shared by all VMs
 * @caps: capabilities found by vmx/
 *
 * Return: 0 or -ENOMEM. umbra_mmu_module_exit() undoes it.
 */
int umbra_mmu_module_init(const struct umbra_mmu_caps *caps);
void umbra_mmu_module_exit(void);

/**
 * umbra_mmu_init() - prepare a VM's MMU
 * @mmu: zeroed
 * @ops: CPU side
 * @policy: first policy; core/ may store another in @mmu->policy until the
 *	first vCPU exists
 *
 * The memslots pointer is the caller's to set; srcu is initialised here.
 * Return: 0 or -ENOMEM.
 */
int umbra_mmu_init(struct umbra_mmu *mmu, const struct umbra_cpu_ops *ops,
		   enum umbra_policy policy);

/**
 * umbra_mmu_destroy() - free every table of a VM
 * @mmu: no vCPU runs or will run again, the mmu_notifier is unregistered
 */
void umbra_mmu_destroy(struct umbra_mmu *mmu);

/**
 * umbra_mmu_vcpu_init() - prepare a vCPU; joins @mmu->vcpus
 * Return: 0 or -ENOMEM.
 */
int umbra_mmu_vcpu_init(struct umbra_mmu_vcpu *vcpu, struct umbra_mmu *mmu);
void umbra_mmu_vcpu_destroy(struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_mmu_state_changed() - CR0, CR4, EFER, the CPUID paging bits or
 *	state_legal changed
 * @vcpu: @vcpu->state is up to date
 *
 * Decides the family again, computes the role, drops @vcpu->root when it no
 * longer fits (umbra_mmu_load() gets a new one) and sets flush_guest when the
 * architecture flushes. Cheap when nothing that matters changed.
 *
 * Context: may be called without mmu->srcu. Does not sleep.
 * Return: true when the family changed, so that vmx/ switches its controls.
 */
bool umbra_mmu_state_changed(struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_mmu_wants_shadow() - would the vCPU use the shadow family if the rest of
 *	its state were legal (and nothing had made it leave)?
 * @vcpu: @vcpu->state is up to date
 */
bool umbra_mmu_wants_shadow(const struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_mmu_load() - make @vcpu->root valid before VM entry
 *
 * Return: 0; -ENOMEM; -EFAULT when the host cannot read guest memory it needs.
 * In FAMILY_SHADOW a guest CR3 that points outside all slots is not an error:
 * the root is an empty table, and every use of it faults into
 * umbra_mmu_shadow_fault(), whose walk then reports a #PF to the guest.
 */
int umbra_mmu_load(struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_mmu_unload() - drop the roots (state stays)
 */
void umbra_mmu_unload(struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_mmu_ept_fault() - handle an EPT violation or misconfiguration
 * @vcpu: family is EPT
 * @fault: addr is a gpa
 *
 * Return: enum umbra_fault_result or -errno. Never UMBRA_FAULT_GUEST.
 */
int umbra_mmu_ept_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault);

/**
 * umbra_mmu_prefault() - map a page before the guest uses it
 * @vcpu: any family
 * @gpa: any address in the page
 * @end: out: where the mapping that now holds @gpa ends, in guest-physical bytes
 *
 * As if the guest had read from it, without counting as a fault.
 *
 * Context: may sleep.
 * Return: 0; -EOPNOTSUPP in the shadow family, whose tables are not by @gpa;
 * -ENOENT no slot has it; -EAGAIN the host took it away meanwhile; or as
 * umbra_mmu_ept_fault() fails.
 */
int umbra_mmu_prefault(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, gpa_t *end);

/**
 * umbra_mmu_shadow_fault() - handle a #PF intercepted in the shadow family
 * @vcpu: family is SHADOW
 * @fault: addr is a gva
 *
 * Return: enum umbra_fault_result or -errno.
 */
int umbra_mmu_shadow_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault);

/**
 * umbra_mmu_direct_faults() - which page faults may go to the guest
 * @vcpu: family is SHADOW
 * @mask: out
 * @match: out
 *
 * Those whose error code, under @mask, is @match. The registers in @vcpu->state
 * count, so it is to be asked again when they change.
 */
void umbra_mmu_direct_faults(const struct umbra_mmu_vcpu *vcpu, u32 *mask, u32 *match);

/**
 * umbra_mmu_mmio_fault() - handle a fault that only an entry for MMIO can cause
 * @vcpu: any family
 * @fault: FAMILY_EPT: addr is a gpa, of an EPT misconfiguration, access is not
 *	known; FAMILY_SHADOW: as for umbra_mmu_shadow_fault(), of a #PF that
 *	reports a reserved bit
 *
 * Without a look at slots and guest tables when the entry is of the current
 * generation; otherwise as the family's other faults.
 *
 * Return: as umbra_mmu_shadow_fault().
 */
int umbra_mmu_mmio_fault(struct umbra_mmu_vcpu *vcpu, struct umbra_fault *fault);

/**
 * umbra_mmu_zap_mmio() - remove every entry for MMIO, in both families
 *
 * Before a set is published whose generation they could be taken for.
 * Context: slots_lock held; may sleep.
 */
void umbra_mmu_zap_mmio(struct umbra_mmu *mmu);

/**
 * umbra_mmu_set_cr3() - the guest (or user space) loaded CR3
 * @vcpu: @vcpu->state.cr3 already holds the new value
 * @noflush: bit 63 of the operand was set and CR4.PCIDE is 1
 *
 * In FAMILY_SHADOW switches to the shadow of the new root, from a cache when
 * it is there, else leaves @vcpu->root invalid for umbra_mmu_load(); resyncs
 * what the architecture makes visible; sets flush_guest as needed.
 */
void umbra_mmu_set_cr3(struct umbra_mmu_vcpu *vcpu, bool noflush);

/**
 * umbra_mmu_load_pdptrs() - read and check the PDPTEs of a PAE guest, at state.cr3
 * umbra_mmu_pdptrs_valid() - check four of them, from elsewhere
 *
 * Return: 0; -EINVAL: no memory, or a present PDPTE has reserved bits set (#GP).
 */
int umbra_mmu_load_pdptrs(struct umbra_mmu_vcpu *vcpu);
bool umbra_mmu_pdptrs_valid(const struct umbra_mmu_vcpu *vcpu, const u64 *pdptrs);

/**
 * umbra_mmu_invlpg() - the guest executed INVLPG (shadow family)
 * @gva: any value
 *
 * Brings the shadow of @gva in line with the guest's tables. vmx/ flushes the
 * CPU's own translation of @gva afterwards.
 */
void umbra_mmu_invlpg(struct umbra_mmu_vcpu *vcpu, u64 gva);

/**
 * umbra_mmu_invalidate_all() - the guest flushed a whole context (INVPCID of
 *	type 1 to 3, CR4.PGE toggled, ...): resync and set flush_guest
 */
void umbra_mmu_invalidate_all(struct umbra_mmu_vcpu *vcpu);

/**
 * umbra_mmu_translate() - walk the guest's page tables as the guest would
 * @vcpu: any family, any paging mode
 * @gva: linear address
 * @access: UMBRA_ACC_WRITE, _USER, _FETCH; implicit supervisor access
 *	when USER is clear
 * @gpa: out
 * @exc: out: the #PF to inject; may be NULL
 *
 * Sets accessed and dirty flags in the guest's tables as the CPU would.
 * Return: 0, -EFAULT with @exc filled.
 */
int umbra_mmu_translate(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
			struct umbra_exception *exc);

/**
 * umbra_mmu_translate_fetch() - umbra_mmu_translate() for one fetch after another
 *
 * Remembers the last walk, and walks again only when an entry of the guest's that
 * it went through has changed, or anything else that it depends on.
 */
int umbra_mmu_translate_fetch(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
			      struct umbra_exception *exc);

/**
 * umbra_mmu_translate_quiet() - the same without touching guest memory
 *
 * For KVM_TRANSLATE and dumps: no A/D updates.
 */
int umbra_mmu_translate_quiet(struct umbra_mmu_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
			      struct umbra_exception *exc);

/**
 * umbra_mmu_guest_write() - write guest memory on behalf of the guest
 * @vcpu: the writing vCPU
 * @gpa: guest physical address
 * @data: what to write
 * @len: bytes; in one access where that is 1, 2, 4 or 8 in one page
 *
 * Writes, logs the page dirty and updates or zaps the shadows of the page. Who
 * sees what was written finds no shadow of what was there before.
 * Return: 0, or as umbra_hostpage_get().
 */
int umbra_mmu_guest_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
			  unsigned int len);

/**
 * umbra_mmu_guest_cmpxchg() - atomic read-modify-write on the guest's behalf
 * @old: expected bytes; @new: bytes to store; @len: 1 to 8, or 16 when aligned. What
 *	crosses a word of 8 bytes otherwise is not atomic.
 *
 * Return: 0, -EAGAIN when memory did not hold @old, or as umbra_hostpage_get().
 */
int umbra_mmu_guest_cmpxchg(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *old,
			    const void *new, unsigned int len);

/**
 * umbra_mmu_tracked() - do writes to a frame have to come through
 *	umbra_mmu_guest_write()?
 *
 * A hint: it may change at any time.
 */
bool umbra_mmu_tracked(struct umbra_mmu *mmu, gfn_t gfn);

/**
 * umbra_mmu_unprotect() - stop tracking a frame by zapping its shadows
 * @gfn: guest frame
 *
 * For a write that the emulator does not know: after it the instruction runs.
 * Return: true when something was zapped.
 */
bool umbra_mmu_unprotect(struct umbra_mmu *mmu, gfn_t gfn);

/**
 * umbra_mmu_slot_alloc() - per-slot memory of mmu/ for a slot about to appear
 * @slot: not yet published
 *
 * Context: slots_lock held, may sleep.
 * Return: 0 or -ENOMEM.
 */
int umbra_mmu_slot_alloc(struct umbra_mmu *mmu, struct umbra_memslot *slot);
void umbra_mmu_slot_free(struct umbra_memslot *slot);

/**
 * umbra_mmu_slots_prepare() - make the published slots ready for the policy
 *
 * With UMBRA_POLICY_SHADOW allocates the shadow family's state and the arrays
 * of slots that came before the policy; otherwise does nothing. To be called
 * when the policy is set and when the first vCPU is created.
 *
 * Context: slots_lock held, may sleep.
 * Return: 0 or -ENOMEM (nothing is half done; may be called again).
 */
int umbra_mmu_slots_prepare(struct umbra_mmu *mmu);

/**
 * umbra_mmu_slot_retire() - a slot is about to be deleted
 *
 * From here until umbra_mmu_zap_gfns() returns, @mmu->retiring is @slot. The
 * slot is no longer published then, but still has mappings: the mmu_notifier
 * must treat it as one more slot, or the host would reuse pages that the guest
 * can still reach. Order of a deletion:
 *
 *	umbra_mmu_slot_retire(), publish the set without the slot,
 *	synchronize_srcu(), umbra_mmu_zap_gfns(), free the slot
 *
 * A slot that moves is deleted so, and then created at its new place.
 *
 * Context: slots_lock held; takes mmu->lock.
 */
void umbra_mmu_slot_retire(struct umbra_mmu *mmu, struct umbra_memslot *slot);

/**
 * umbra_mmu_zap_gfns() - remove every mapping of a range, in both families
 * @start: first gfn; @end: first gfn after it
 *
 * For a slot that is deleted or moved. Also zaps shadow pages whose guest
 * table lies in the range. Returns after the flush: no vCPU uses them. Ends
 * what umbra_mmu_slot_retire() began.
 *
 * Context: slots_lock held, the slot no longer published; may sleep.
 */
void umbra_mmu_zap_gfns(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			gfn_t end);

/**
 * umbra_eager_page_split - parameter eager_page_split=: when logging of a slot
 *	starts, split its large leaves at once rather than one by one as they are
 *	written to
 */
extern bool umbra_eager_page_split;

/**
 * umbra_mmu_log_begin() - a logged slot is about to be published
 * umbra_mmu_log_end() - and one has gone
 *
 * Between the two every CPU logs. Context: slots_lock held.
 */
void umbra_mmu_log_begin(struct umbra_mmu *mmu);
void umbra_mmu_log_end(struct umbra_mmu *mmu);

/**
 * umbra_mmu_log_start() - from now on writes to a slot that was not logged are
 * @slot: published; user space has been told of none of its frames
 *
 * When it returns no vCPU can write to the slot without a trace in the log.
 *
 * Context: slots_lock held; takes mmu->lock; may sleep.
 */
void umbra_mmu_log_start(struct umbra_mmu *mmu, struct umbra_memslot *slot);

/**
 * umbra_mmu_log_again() - the same for frames that are about to be reported
 * @slot: is logged
 * @first: first frame, from the slot's start; a multiple of BITS_PER_LONG
 * @dirty: a bit per frame from there on, taken out of the log before the call;
 *	none beyond the slot's end
 * @nr: how many frames
 *
 * Does not flush: for several calls in a row, umbra_mmu_flush() after the last.
 *
 * Context: slots_lock held; takes mmu->lock; may sleep.
 */
void umbra_mmu_log_again(struct umbra_mmu *mmu, struct umbra_memslot *slot,
			 const unsigned long *dirty, unsigned long first, unsigned long nr);

/**
 * umbra_mmu_log_stop() - writes to a slot are no longer logged
 * @slot: published
 *
 * Lets what was mapped in small pages for the log become large again.
 *
 * Context: slots_lock held; takes mmu->lock; may sleep.
 */
void umbra_mmu_log_stop(struct umbra_mmu *mmu, struct umbra_memslot *slot);

/**
 * umbra_mmu_log_sync() - bring into the log what CPUs have noted by themselves
 *
 * Every write that was made before the call is in the log when it returns.
 */
void umbra_mmu_log_sync(struct umbra_mmu *mmu);

/**
 * umbra_mmu_log_gpas() - what a CPU has noted by itself
 * @vcpu: for which it did
 * @gpa: guest physical addresses, aligned or not
 * @nr: how many
 *
 * Context: mmu->srcu held for read; also with interrupts off.
 */
void umbra_mmu_log_gpas(struct umbra_mmu_vcpu *vcpu, const u64 *gpa, unsigned int nr);

/*
 * mmu_notifier side. The caller (core/notifier.c) holds mmu->srcu, has found
 * the slots, and holds mmu->lock for write around all of these.
 */

/**
 * umbra_mmu_invalidate_begin() - faults on this hva range must retry from now
 */
void umbra_mmu_invalidate_begin(struct umbra_mmu *mmu, hva_t start, hva_t end);
void umbra_mmu_invalidate_end(struct umbra_mmu *mmu);

/**
 * umbra_mmu_unmap_gfns() - the host takes pages away
 * @may_yield: give mmu->lock up now and then for those who wait. Faults in the
 *	range are kept off by umbra_mmu_invalidate_begin(), the slot is kept by
 *	mmu->srcu, or is watched when it is @mmu->retiring
 *
 * Return: true when something was removed, now or before without a flush; the
 * caller pays the debt with umbra_mmu_flush() before it returns to the host's
 * mm.
 */
bool umbra_mmu_unmap_gfns(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			  gfn_t end, bool may_yield);

/**
 * umbra_mmu_age_gfns() - test, and with @clear clear, the accessed state
 *
 * Return: true when a page in the range was accessed.
 */
bool umbra_mmu_age_gfns(struct umbra_mmu *mmu, struct umbra_memslot *slot, gfn_t start,
			gfn_t end, bool clear);

/**
 * umbra_mmu_set_nx_huge() - may the guest execute from large EPT leaves?
 * @on: it may not; for CPUs with the iTLB multihit erratum
 *
 * Context: takes mmu->lock; may sleep.
 */
void umbra_mmu_set_nx_huge(struct umbra_mmu *mmu, bool on);

/**
 * umbra_mmu_recover_nx() - let what was made small for a fetch become large again
 * @nr: how many tables to take away, at most
 *
 * Context: takes mmu->srcu and mmu->lock; may sleep.
 */
void umbra_mmu_recover_nx(struct umbra_mmu *mmu, unsigned long nr);

/**
 * umbra_mmu_flush() - pay all flush debt: when it returns no vCPU runs with a
 *	translation older than the call
 *
 * Context: any lock of the MMU may be held; does not sleep.
 */
void umbra_mmu_flush(struct umbra_mmu *mmu);

#endif /* _UMBRA_MMU_H */
