/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A simulated machine around the real mmu/: host memory behind memslots with
 * an mmu_notifier, and CPUs whose TLBs keep every entry until told.
 *
 *	torture.c	what a random guest and host do
 *	entries.c	what a random guest has in its tables, accesses.c what it accesses
 *	edits.c		what it does to its tables
 *	limits.c	what is done to the number of shadow pages
 *	report.c	how much of that there was
 *	guest.c		a guest's accesses and registers, and what must come of them
 *	emulation.c	writes to guest tables by the real emulator
 *	cpu.c		TLB, paging-structure caches, hardware walks, VM entry
 *	history.c	what the architecture still allows after a guest's edits
 *	host.c		host pages, slots, notifier; include/umbra/hostmem.h
 */
#ifndef UNIT_MMU_MACHINE_H
#define UNIT_MMU_MACHINE_H

#include <linux/kernel.h>
#include <linux/mm.h>
#include <umbra/hostmem.h>
#include <umbra/memslot.h>
#include <umbra/mmu.h>
#include "random.h"
#include "reference.h"

#define NR_SIM_CPUS		2
#define NR_SLOTS	6
/* Those that 32-bit guests reach, where tables are. */
#define NR_LOW_SLOTS	4

/* ---- host.c ---- */

#define RAM_PAGES	768

/* One page of the VMM's address space. */
struct host_page {
	bool present;		/* the host has it in its page tables */
	bool write_protected;	/* copy on write */
	u32 frame;		/* index in host_frame[] */
};

/* These pages of ram[] may be one huge page of the host's. */
#define HUGE_PAGES	512

/*
 * Host frames; a page gets a new one whenever it comes back. The last ones make
 * up large frames.
 */
#define NR_SMALL_FRAMES	4096
#define NR_LARGE_FRAMES	8
#define NR_HOST_FRAMES	(NR_SMALL_FRAMES + NR_LARGE_FRAMES * HUGE_PAGES)
#define FIRST_PFN	0x100000ull

struct host_frame {
	bool live;		/* belongs to a page now */
	bool dirty;		/* the host was told that it is written to */
	u32 page;
	int refs;
	struct page page_struct;
};

extern u8 ram[RAM_PAGES][4096];
extern struct host_page host_page[RAM_PAGES];
extern struct host_frame host_frame[NR_HOST_FRAMES];

/* The slots: where they are when they exist. */
struct slot_plan {
	gfn_t base;
	unsigned int npages;
	unsigned int first_page;	/* of ram[] */
};

extern const struct slot_plan slot_plan[NR_SLOTS];

struct machine {
	struct umbra_mmu mmu;
	struct umbra_memslot *slot[NR_SLOTS];
	bool huge;			/* the first pages of ram[] are one huge page */
	bool orderly;			/* guests that are like real ones, see torture.c */
	bool keys;			/* guests give many pages a protection key */
	bool logging;			/* CPUs note what they write to */
	bool invalidating;		/* between notifier start and end */
	bool harvesting;		/* the log is copied, rights are still to go */
	bool interfered;		/* something happened during the call */
	struct cpu *walking;		/* CPU in a fault, and for what */
	struct ref_access walk;
	u64 fault_gpa;			/* of the last EPT fault */
};

extern struct machine machine;

void host_init(void);
void host_destroy(void);
int slot_create(int id, u32 flags);
void slot_delete(int id);
/* It goes, and comes again at the same place. */
void slot_move(int id);
/* So much is done to slots that generations look like older ones of theirs again. */
void slot_age_mmio(int id);
void slot_log_dirty(int id, bool on);
/* With everything in the log, and nothing made to fault: KVM_DIRTY_LOG_INITIALLY_SET. */
void slot_log_initially_set(int id);
void slot_harvest_dirty(int id);

/* mmu_notifier events. */
void host_unmap(unsigned int page);
void host_write_protect(unsigned int page);
void host_clean(unsigned int page);
/* Make the huge page of what is there now; the next event that needs to splits it. */
void host_collapse(void);
/* Nothing stands in the way of large leaves in the slot of huge pages any more. */
void host_clear_huge(void);
void host_age(unsigned int page, bool clear);

/* The page of ram[] that a frame means now, or -1. @retiring: a slot that is
 * being deleted counts.
 */
int gfn_to_page(gfn_t gfn, bool retiring, struct umbra_memslot **slot);

/* A pfn in an entry that the CPU uses: which page, or a report of the error. */
unsigned int pfn_to_ram(kvm_pfn_t pfn, bool write);

/*
 * Something else may happen here: another CPU, the host; or, where mmu_lock is
 * held, what CPUs do that need no exit. torture.c.
 */
void interfere(bool may_notify);
void interfere_inside(void);

/* ---- history.c ---- */

/* Time goes on with each change of guest memory and each invalidation. */
extern u64 now;

/* Guest memory changes: remembers what was there. */
void history_write(unsigned int page, unsigned int offset, const void *data, unsigned int len);

/* Slots came or went: what their frames held before does not count. */
void history_forget_page(unsigned int page);

bool history_is_full(void);
void history_reset(void);

struct cpu;

/* ---- cpu.c ---- */

#define NR_GVAS		256	/* linear pages that guests use, by number */
#define NR_PCIDS	4
#define NR_ROOTS	32
#define NR_RECENT	24
#define NR_PML		6	/* entries; a real CPU has 512 */
#define EPT_TLB		2048

struct tlb_entry {
	bool valid, w, u, x, dirty;
	u8 key;
	u64 tag;
	kvm_pfn_t pfn;
};

struct psc_entry {
	bool valid, w, u, x;
	u64 tag;
	u64 table;
};

#define PSC_WAYS	64

struct cpu {
	struct umbra_mmu_vcpu v;
	int nr;
	bool exists;
	bool in_guest;
	bool reload;
	bool busy;		/* in a call to mmu/: must not be used in between */

	/* Linear translations of the shadow family, by number of the gva. */
	struct tlb_entry tlb[NR_GVAS];
	struct psc_entry psc[5][PSC_WAYS];
	/* Registers that VM entry loads for a guest outside long mode. */
	u64 pdpte[4];
	/* Guest-physical ones. */
	struct tlb_entry ept_tlb[EPT_TLB];
	struct psc_entry ept_psc[5][PSC_WAYS];

	/* Page-modification log, and whether it is on. */
	bool pml_on;
	unsigned int nr_pml;
	u64 pml[NR_PML];

	/* When the guest last invalidated what, and the CR3 values since. */
	u64 flushed_all;
	u64 flushed_pcid[NR_PCIDS];
	u64 flushed_gva[NR_GVAS];
	/* What the controls say may happen without an exit. */
	u32 direct;
	u32 direct_mask, direct_match;

	struct { u64 since; u64 cr3; u64 pdpte[4]; } root[NR_ROOTS];
	int nr_roots;

	u8 recent[NR_RECENT];	/* numbers of gvas lately used */
};

extern struct cpu cpus[NR_SIM_CPUS];
extern const struct umbra_cpu_ops sim_cpu_ops;

struct hw_access {
	u64 addr;		/* gva or gpa */
	unsigned int gva_nr;	/* number of the gva, for the TLB */
	bool write, user, fetch;
};

/* VM entry: 0 or -ENOMEM. */
int cpu_enter(struct cpu *cpu);
void cpu_exit(struct cpu *cpu);
void cpu_flush_gva(struct cpu *cpu, unsigned int gva_nr);

struct hw_fault {
	u32 code;
	bool cached;		/* found in a cache, not in the tables alone */
};

/* What the hardware does: true and a pfn, or false and an error code. */
bool hw_linear(struct cpu *cpu, const struct hw_access *a, kvm_pfn_t *pfn,
	       struct hw_fault *fault);
bool hw_physical(struct cpu *cpu, u64 gpa, bool write, bool fetch, kvm_pfn_t *pfn, u32 *code);

/* What the MMU was told that it can do. */
extern bool sim_ept_ad, sim_mmio, sim_pml;

/* Has a CPU noted a write to @gfn that is not in the log yet? */
bool cpu_has_noted(gfn_t gfn);

void hw_explain(const struct cpu *cpu, u64 gva, unsigned int gva_nr);

/* No CPU may keep a translation to what is gone and believe that it is flushed. */
void cpu_audit(void);

/* Nor may mmu/ disagree with itself. Not while something is half done. */
void mmu_audit(void);

struct ref_cpu cpu_reference(const struct cpu *cpu);

/* The guest invalidated everything of this CPU, or one linear page. */
void cpu_guest_flushed_all(struct cpu *cpu);
void cpu_new_root(struct cpu *cpu);

/* ---- history.c again: needs struct cpu ---- */

/* Is @page, with the rights of @a, something that the CPU may use for a gva? */
bool history_allows(const struct cpu *cpu, const struct ref_access *a, unsigned int gva_nr,
		    unsigned int page);
/* Is a #PF with @code something that the CPU may raise from what it has cached? */
bool history_refuses(const struct cpu *cpu, const struct ref_access *a, unsigned int gva_nr,
		     u32 code);

/* The same for a frame without memory. */
bool history_allows_mmio(const struct cpu *cpu, const struct ref_access *a, unsigned int gva_nr,
			 gfn_t gfn);

/* Guest memory as it is now, as reference_walk() wants it. */
uint64_t read_now(void *ctx, uint64_t gpa, int bytes);

/* ---- guest.c ---- */

/* One access by the guest, with all exits it takes. */
struct guest_access {
	unsigned int gva_nr;	/* ignored while paging is off */
	gfn_t unpaged_gfn;	/* used then */
	unsigned int offset;
	bool write, user, fetch;
	bool unknown;		/* to the emulator, when it comes to that */
	u8 data[8];
	unsigned int len;
};

void guest_access(struct cpu *cpu, const struct guest_access *access);
/* The same for a CPU that is in the guest; nothing happens if it would exit. */
void guest_access_inside(struct cpu *cpu, const struct guest_access *access);
/* Would the access succeed, or at least not be the guest's own fault? */
bool guest_translates(const struct cpu *cpu, const struct guest_access *access);
/* Would it, and does it go to what is tracked as a guest table? */
bool guest_reaches_table(const struct cpu *cpu, const struct guest_access *access);
/* What is there now; false where the access would fault, or cross a page. */
bool guest_peek(const struct cpu *cpu, const struct guest_access *access, u64 *value);
/* The emulator's fetch there. */
void guest_fetch(struct cpu *cpu, const struct guest_access *access);
void guest_invlpg(struct cpu *cpu, unsigned int gva_nr);
void guest_invlpg_inside(struct cpu *cpu, unsigned int gva_nr);
void guest_set_cr3(struct cpu *cpu, u64 cr3, bool noflush);
void guest_flush_all(struct cpu *cpu);
void guest_set_pkru(struct cpu *cpu, u32 pkru);
/* Toggle bits that may be toggled with paging on. */
void guest_toggle(struct cpu *cpu, u64 cr0, u64 cr4, u64 efer);
void guest_paging_off(struct cpu *cpu);

enum guest_mode { GUEST_MODE_4LEVEL, GUEST_MODE_5LEVEL, GUEST_MODE_PAE, GUEST_MODE_32BIT };
bool guest_is_pae(const struct cpu *cpu);
/* Paging is on. */
enum guest_mode guest_mode(const struct cpu *cpu);
void guest_paging_on(struct cpu *cpu, enum guest_mode mode, u64 cr3, bool legal);
void guest_set_legal(struct cpu *cpu, bool legal);

u64 gva_of(const struct cpu *cpu, unsigned int gva_nr);
/* Numbers that mean the same address now become the same. */
unsigned int guest_gva_nr(const struct cpu *cpu, unsigned int gva_nr);

/* ---- emulation.c ---- */

/*
 * Let the emulator write, by an instruction of its choice: 0, -EFAULT (#PF) or
 * -EIO (no memory). @gpa is where @gva leads.
 */
int emulate_store(struct cpu *cpu, u64 gva, gpa_t gpa, const void *data, unsigned int len);

/* ---- torture.c ---- */

/* Report a violation and stop. */
void __noreturn __printf(1, 2) violation(const char *format, ...);

struct machine_counts {
	u64 steps, accesses, hits, walks, stale, undecided, faults, fixed, spurious, retry,
	    emulated, tracked, mmio, mmio_fast, self_map, unprotected, guest_faults, shadow,
	    notified, collapsed, large, interfered, inside, direct, invlpg, late, raced, nomem,
	    left_shadow, vms, wide, fetches, recalled, recycled, shrunk, keys,
	    audits;
	u64 mode[4];		/* shadow tries, by enum guest_mode */
	u64 unsync[4];		/* tables that went out of sync */
};

extern struct machine_counts counts;

/* ---- limits.c ---- */

/* The host wants memory back: as many shadow pages as it gets. */
void limits_shrink(void);
/* User space allows another number of them. */
void limits_change(void);
/* All of them go. */
void limits_begin_again(void);

/* ---- report.c ---- */

void machine_report(void);
bool machine_reached_all(u64 steps);

#endif
