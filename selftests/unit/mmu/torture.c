// SPDX-License-Identifier: GPL-2.0
/*
 * The torture test of mmu/: random guests with random page tables on the
 * simulated machine, random edits, invalidations, mode changes, memslot and
 * host events. Every access must give what the reference walker allows.
 *
 *	torture [--steps N] [--seed S] [--audit N] [--trace]
 *
 * After every Nth step (50) the auditor has to agree. A failing run prints its
 * seed; --trace prints each step before it is done.
 *
 * With UNIT_FUZZ it is a target of libFuzzer's: the first 8 bytes of an input are
 * the seed of a VM, the others decide what happens to it.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <getopt.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdlib.h>
#include <tap.h>
#include <unistd.h>
#include "../../../mmu/direct.h"
#include "edits.h"
#include "entries.h"
#include "machine.h"
#include "../../../mmu/sync.h"
#include "shim.h"

#define STEPS_PER_VM	40000u
#define STEPS_PER_FLUSH	3000u

struct machine_counts counts;
bool sim_ept_ad, sim_mmio, sim_pml;

static u64 seed = 1, steps = 5000000, audit_every = 50;
static bool trace, in_step, interfering;

void violation(const char *format, ...)
{
	va_list args;

	printf("# broken at step %llu, seed %llu: ", counts.steps, seed);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nnot ok 1 - torture\n1..1\n");
	fflush(stdout);
#ifdef UNIT_FUZZ
	abort();
#endif
	_exit(1);
}

static struct cpu *random_cpu(void)
{
	return &cpus[rnd(NR_SIM_CPUS)];
}

/* ---- steps ---- */

static void one_access(struct cpu *cpu)
{
	struct guest_access a;

	next_access(cpu, &a);
	guest_access(cpu, &a);
	if (!machine.interfered || chance(50))
		return;
	/* What was changed under the fault must be seen after an invalidation. */
	machine.interfered = false;
	if (chance(50))
		guest_invlpg(cpu, a.gva_nr);
	else
		guest_flush_all(cpu);
	guest_access(cpu, &a);
}

/*
 * A write through what the CPU has cached for writing, when it is in the guest
 * and will not exit before: nobody but a kick keeps it from it.
 */
static void write_cached(struct cpu *cpu)
{
	struct guest_access a;

	for (unsigned int tries = 0; cpu->in_guest && tries < 64; tries++) {
		unsigned int nr = rnd(NR_GVAS);

		if (!cpu->tlb[nr].valid || !cpu->tlb[nr].w || !cpu->tlb[nr].dirty)
			continue;
		next_access(cpu, &a);
		a.gva_nr = nr;
		a.write = true;
		a.fetch = false;
		guest_access(cpu, &a);
		return;
	}
}

/* Some in a row: a CPU that takes no exit keeps its translations. */
static void step_access(struct cpu *cpu)
{
	for (unsigned int i = 1 + rnd(4); i; i--)
		one_access(cpu);
}

/* The emulator's fetches: mostly from one page, until something else is done. */
static void step_fetches(struct cpu *cpu)
{
	struct guest_access a;

	next_access(cpu, &a);
	a.fetch = true;
	a.write = false;
	a.user = cpu->v.state.cpl == 3;
	for (unsigned int i = 1 + rnd(4); i; i--) {
		guest_fetch(cpu, &a);
		if (chance(30))
			step_edit(cpu);
	}
}

/* The guest has written to a table, which is let go if it can be. */
static void let_go(struct cpu *cpu, u64 gpa)
{
	struct umbra_mmu *m = &machine.mmu;
	int idx = srcu_read_lock(&m->srcu);
	struct umbra_memslot *slot;

	if (gfn_to_page(gpa >> 12, false, &slot) >= 0 && slot->track &&
	    slot->track[(gpa >> 12) - slot->base_gfn]) {
		cpu_exit(cpu);
		write_lock(&m->lock);
		umbra_unsync(m, slot, gpa >> 12);
		write_unlock(&m->lock);
	}
	srcu_read_unlock(&m->srcu, idx);
}

/*
 * As a guest that patches its code: it writes to one table between any two flushes,
 * or invalidates many pages in a row, and uses what the table maps.
 */
static void step_patch(struct cpu *cpu)
{
	struct umbra_paging_state *s = &cpu->v.state;
	struct ref_cpu ref = cpu_reference(cpu);
	struct ref_access ra = {};
	struct guest_access a;
	struct ref_result r;
	unsigned int i, cpl;

	next_access(cpu, &a);
	cpl = s->cpl;
	if (!(s->cr0 & X86_CR0_PG))
		return;
	ra.gva = gva_of(cpu, guest_gva_nr(cpu, a.gva_nr));
	reference_walk(&ref, &ra, read_now, NULL, &r);
	for (i = 2 + rnd(9); i && r.nr; i--) {
		guest_access(cpu, &a);
		let_go(cpu, r.entry[r.nr - 1].gpa);
		edit(cpu, r.entry[r.nr - 1].gpa);
		if (chance(40))
			one_access(cpu);
		for (unsigned int n = rnd(4); n && chance(40); n--)
			guest_invlpg(cpu, n > 1 ? rnd(NR_GVAS) : a.gva_nr);
		if (chance(60))
			guest_flush_all(cpu);
		s->cpl = cpl;
	}
	guest_access(cpu, &a);
}

static void paging_on(struct cpu *cpu)
{
	enum guest_mode mode = chance(30) ? GUEST_MODE_4LEVEL : rnd(4);
	u64 cr3 = mode == GUEST_MODE_PAE ? random_pdpt() : random_cr3(cpu) & ~0xfffull;

	guest_paging_on(cpu, mode, cr3 & GENMASK_ULL(31, 0), chance(85));
}

static void step_registers(struct cpu *cpu)
{
	bool paging = cpu->v.state.cr0 & X86_CR0_PG;

	switch (rnd(100)) {
	case 0 ... 34:
		guest_toggle(cpu, X86_CR0_WP, 0, 0);
		break;
	case 35 ... 44:
		guest_toggle(cpu, 0, X86_CR4_SMEP, 0);
		break;
	case 45 ... 49:
		guest_toggle(cpu, 0, X86_CR4_SMAP, 0);
		break;
	case 50 ... 52:
		guest_toggle(cpu, 0, X86_CR4_PKE, 0);
		break;
	case 53 ... 59:
		guest_toggle(cpu, 0, X86_CR4_PGE, 0);
		break;
	case 60 ... 63:
		guest_toggle(cpu, 0, X86_CR4_PSE, 0);
		break;
	case 64 ... 69:
		guest_toggle(cpu, 0, X86_CR4_PCIDE, 0);
		break;
	case 70 ... 79:
		guest_toggle(cpu, 0, 0, EFER_NX);
		break;
	case 80 ... 83:
		guest_toggle(cpu, X86_CR0_CD, 0, 0);
		break;
	case 84:
		/* The module's parameter counts when a root is loaded. */
		umbra_direct_faults = chance(75);
		break;
	case 85 ... 86:
		guest_toggle(cpu, 0, X86_CR4_PKE, 0);
		break;
	case 87 ... 89:
		guest_set_legal(cpu, !cpu->v.state.state_legal || chance(70));
		break;
	default:
		if (paging && chance(60)) {
			guest_paging_off(cpu);
			paging = chance(40);
		}
		if (!paging)
			paging_on(cpu);
	}
}

static void step_slot(void)
{
	int id = rnd(NR_SLOTS);
	struct umbra_memslot *slot = machine.slot[id];
	unsigned int special = machine.orderly ? 4 : 20;

	if (!slot) {
		slot_create(id, (chance(special) ? KVM_MEM_READONLY : 0) |
			    (chance(special) ? KVM_MEM_LOG_DIRTY_PAGES : 0));
	} else if (chance(2)) {
		slot_age_mmio(id);
	} else if (chance(15)) {
		slot_delete(id);
		/* Mostly it comes back at once. */
		if (chance(80))
			slot_create(id, 0);
	} else if (slot->dirty_bitmap && chance(machine.orderly ? 30 : 75)) {
		slot_harvest_dirty(id);
	} else if (slot->dirty_bitmap || chance(5 * special)) {
		if (!slot->dirty_bitmap && chance(30))
			slot_log_initially_set(id);
		else
			slot_log_dirty(id, !slot->dirty_bitmap);
	}
}

static unsigned int random_page(void)
{
	int page = -1;

	/* Guest tables and their neighbours are more interesting. */
	if (chance(50))
		page = gfn_to_page(table[rnd(NR_TABLES)], true, NULL);
	return page >= 0 ? (unsigned int)page : rnd(RAM_PAGES);
}

static void step_host(void)
{
	if (spare_huge && chance(30)) {
		host_clear_huge();
		return;
	}
	switch (rnd(13)) {
	case 11:
		limits_shrink();
		break;
	case 12:
		limits_change();
		break;
	case 0:
		host_collapse();
		break;
	case 1 ... 4:
		host_unmap(random_page());
		break;
	case 5 ... 6:
		host_write_protect(random_page());
		break;
	case 7:
		host_clean(random_page());
		break;
	case 8:
		umbra_mmu_recover_nx(&machine.mmu, rnd(3));
		if (!chance(10))
			break;
		limits_begin_again();
		break;
	default:
		host_age(random_page(), chance(70));
	}
}

static void cpu_create(struct cpu *cpu)
{
	static const u8 maxphyaddr[] = { 36, 40, 45 };
	struct umbra_mmu_vcpu *v = &cpu->v;

	memset(v, 0, sizeof(*v));
	if (umbra_mmu_vcpu_init(v, &machine.mmu))
		violation("umbra_mmu_vcpu_init()");
	v->state.cr0 = X86_CR0_PE;
	/* Each vCPU has a CPUID of its own: what one takes for reserved another uses. */
	v->state.maxphyaddr = maxphyaddr[rnd(ARRAY_SIZE(maxphyaddr))];
	v->state.has_gbpages = chance(70);
	v->state.state_legal = true;
	v->state.cr4 = chance(machine.keys ? 80 : 20) ? X86_CR4_PKE : 0;
	cpu->exists = true;
	cpu->reload = false;
	cpu_exit(cpu);
	cpu_guest_flushed_all(cpu);
	umbra_mmu_state_changed(v);
	paging_on(cpu);
}

static void cpu_destroy(struct cpu *cpu)
{
	cpu_exit(cpu);
	cpu->exists = false;
	umbra_mmu_vcpu_destroy(&cpu->v);
}

/* One table is written to between any two flushes, by the guest itself. */
static void step_restless(struct cpu *cpu)
{
	const struct umbra_paging_state *s = &cpu->v.state;
	struct guest_access a;
	bool user;
	unsigned int tries = 0;

	do {
		next_access(cpu, &a);
		a.write = true;
		a.fetch = false;
	} while (!guest_reaches_table(cpu, &a) && ++tries < 16);
	user = a.user;
	for (unsigned int i = rnd(16); tries < 16 && i; i--) {
		/* Others come from another privilege level. */
		a.user = user && s->cpl == 3;
		guest_access(cpu, &a);
		if (chance(70))
			one_access(cpu);
		if (chance(80))
			guest_flush_all(cpu);
	}
}

/* What may happen on a CPU at any moment, also while another is in mmu/. */
static void step_cpu(struct cpu *cpu)
{
	switch (rnd(100)) {
	case 0 ... 67:
		step_access(cpu);
		break;
	case 68 ... 69:
		step_fetches(cpu);
		break;
	case 70 ... 78:
		guest_invlpg(cpu, rnd(NR_GVAS));
		break;
	case 79 ... 84:
		guest_set_cr3(cpu, random_cr3(cpu), chance(50));
		break;
	case 85 ... 94:
		step_edit(cpu);
		break;
	case 95:
		guest_flush_all(cpu);
		break;
	default:
		step_registers(cpu);
	}
}

void interfere(bool may_notify)
{
	unsigned int fail_percent = shim_fail_percent;
	struct cpu *walking = machine.walking;
	struct ref_access walk = machine.walk;
	struct cpu *cpu = random_cpu();

	if (!in_step || interfering || !chance(2))
		return;
	interfering = true;
	shim_fail_percent = 0;
	if (chance(4)) {
		limits_shrink();
	} else if (may_notify && chance(60)) {
		if (chance(70))
			host_unmap(random_page());
		else
			host_write_protect(random_page());
	} else if (machine.walking && !cpu->busy && chance(50)) {
		edit_under_walk(cpu);
	} else {
		for (unsigned int i = 1 + rnd(3); i && !cpu->busy; i--)
			step_cpu(cpu);
	}
	machine.walking = walking;
	machine.walk = walk;
	counts.interfered++;
	machine.interfered = true;
	shim_fail_percent = fail_percent;
	interfering = false;
}

void interfere_inside(void)
{
	struct guest_access a;
	struct cpu *cpu;
	u64 before = now;

	if (!in_step || interfering || !chance(20))
		return;
	interfering = true;
	for (unsigned int i = 1 + rnd(8); i; i--) {
		cpu = random_cpu();
		if (cpu->busy || !cpu->in_guest)
			continue;
		next_access(cpu, &a);
		if (chance(30))
			guest_invlpg_inside(cpu, a.gva_nr);
		guest_access_inside(cpu, &a);
	}
	/* A walk that is under way may have read what was there before. */
	if (now != before)
		machine.interfered = true;
	interfering = false;
}

/*
 * A compare-exchange is about to be made, with mmu_lock held for read at most:
 * another CPU's EPT fault may be faster. What would need the lock for write, as
 * breaking copy on write does, or changing between large and small for a fetch,
 * has to wait.
 */
static void race(struct cpu *cpu)
{
	struct umbra_fault fault = { .addr = machine.fault_gpa };
	int page;

	if (chance(30))
		fault.addr ^= (u64)rnd(4) << 12;
	page = gfn_to_page(fault.addr >> 12, false, NULL);
	if (page < 0 || cpu->busy || !cpu->exists || cpu->v.family != UMBRA_FAMILY_EPT)
		return;
	if (machine.mmu.nx_huge && machine.huge && page < HUGE_PAGES)
		return;
	if (!host_page[page].write_protected && chance(60))
		fault.access = UMBRA_ACC_WRITE;
	cpu_exit(cpu);
	if (cpu->v.root == INVALID_PAGE && umbra_mmu_load(&cpu->v))
		return;
	umbra_mmu_ept_fault(&cpu->v, &fault);
	counts.raced++;
}

void unit_race_point(void)
{
	unsigned int fail_percent = shim_fail_percent;
	int depth = unit_atomic_depth;

	if (!in_step || interfering || machine.mmu.lock.held || !chance(10) ||
	    !srcu_read_lock_held(&machine.mmu.srcu))
		return;
	interfering = true;
	shim_fail_percent = 0;
	unit_atomic_depth = 0;
	race(random_cpu());
	unit_atomic_depth = depth;
	shim_fail_percent = fail_percent;
	interfering = false;
}

static void flush_history(void)
{
	for (int i = 0; i < NR_SIM_CPUS; i++)
		guest_flush_all(&cpus[i]);
	history_reset();
}

static void step(void)
{
	unsigned int kind = rnd(1000);
	struct cpu *cpu = random_cpu();

	counts.steps++;
	if (trace)
		printf("# %llu: kind %u cpu %d\n", counts.steps, kind, cpu->nr);
	if (history_is_full() || counts.steps % STEPS_PER_FLUSH == 0)
		flush_history();
	shim_fail_percent = chance(1) ? 30 : 0;
	in_step = true;
	if (kind < 944) {
		step_cpu(cpu);
	} else if (kind < 947) {
		step_huge(cpu);
	} else if (kind < 952) {
		step_patch(cpu);
	} else if (kind < 985) {
		step_host();
	} else if (kind < 996) {
		step_slot();
	} else if (kind < 997) {
		cpu_audit();
	} else if (kind < 998) {
		if (chance(70))
			step_restless(cpu);
		else
			step_fill(cpu);
	} else {
		shim_fail_percent = 0;
		cpu_destroy(cpu);
		cpu_create(cpu);
	}
	if (chance(12))
		write_cached(random_cpu());
	in_step = false;
	shim_fail_percent = 0;
	if (audit_every && counts.steps % audit_every == 0)
		mmu_audit();
}

/* ---- VMs ---- */

static void vm_create(void)
{
	struct umbra_mmu_caps caps = {
		.ept_ad = chance(50), .ept_2m = chance(80), .host_maxphyaddr = 46,
		.pt_addr_bits = chance(80) ? 46 : 52, .mmio_caching = chance(80),
	};
	enum umbra_policy policy = chance(85) ? UMBRA_POLICY_SHADOW : UMBRA_POLICY_EPT;
	u8 *bytes = (u8 *)cpus;

	counts.vms++;
	caps.pml = caps.ept_ad && chance(60);
	sim_ept_ad = caps.ept_ad;
	sim_mmio = caps.mmio_caching;
	sim_pml = caps.pml;
	umbra_eager_page_split = chance(50);
	umbra_direct_faults = chance(85);
	memset(&machine, 0, sizeof(machine));
	machine.orderly = chance(40);
	machine.keys = chance(40);
	memset(bytes, 0, sizeof(cpus));
	memset(ram, 0, sizeof(ram));
	history_reset();
	if (umbra_mmu_module_init(&caps) || umbra_mmu_init(&machine.mmu, &sim_cpu_ops, policy))
		violation("no memory");
	host_init();
	for (int id = 0; id < NR_SLOTS; id++)
		slot_create(id, id == 2 && chance(machine.orderly ? 10 : 50) ?
			    KVM_MEM_READONLY : 0);
	if (chance(70))
		limits_change();
	spare_huge = chance(50);
	fill_tables();
	if (umbra_mmu_slots_prepare(&machine.mmu))
		violation("no memory");
	for (int i = 0; i < NR_SIM_CPUS; i++) {
		cpus[i].nr = i;
		cpu_create(&cpus[i]);
	}
}

static void vm_destroy(void)
{
	for (int i = 0; i < NR_SIM_CPUS; i++)
		cpu_destroy(&cpus[i]);
	counts.recycled += machine.mmu.stat.mmu_recycled;
	umbra_mmu_destroy(&machine.mmu);
	host_destroy();
	umbra_mmu_module_exit();
	if (shim_pages || shim_objects)
		violation("leaked: %ld pages, %ld objects", shim_pages, shim_objects);
	if (atomic64_read(&machine.mmu.stat.nx_lpage_splits))
		violation("split tables are still counted");
	if (unit_atomic_depth || unit_rcu_depth)
		violation("a lock is still held");
}

#ifdef UNIT_FUZZ

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (size < sizeof(random_state))
		return -1;
	counts = (struct machine_counts) {};
	memcpy(&random_state, data, sizeof(random_state));
	random_left = 0;
	vm_create();
	random_input = data + sizeof(random_state);
	random_left = size - sizeof(random_state);
	audit_every = 8;
	while (random_left >= 2)
		step();
	vm_destroy();
	return 0;
}

#else

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "audit", required_argument, NULL, 'a' },
		{ "steps", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "trace", no_argument, NULL, 't' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "a:n:s:t", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			audit_every = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			steps = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			trace = true;
			break;
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	random_state = seed;
	vm_create();
	while (counts.steps < steps) {
		step();
		if (counts.steps % STEPS_PER_VM == 0) {
			vm_destroy();
			vm_create();
		}
	}
	vm_destroy();
	machine_report();
	ok(machine_reached_all(steps), "torture: every paging mode on shadow pages, large ones");
	ok(true, "torture: %llu steps, seed %llu", steps, seed);
	return tap_done();
}

#endif
