// SPDX-License-Identifier: GPL-2.0
/*
 * The threads' test: two CPUs run guests while one thread is the host and another
 * changes slots and takes their dirty logs, all through the real mmu/. Built with
 * the thread sanitizer, which sees the races in between; what is checked besides:
 *
 *	no CPU uses a host page that the host has taken away, or writes to one
 *	that is copy on write, or uses a page whose slot is gone
 *	no write is missing from the dirty log
 *	what a guest has put into its page table and invalidated is what it gets
 *	the auditor agrees in the end
 *	reverse maps have all members that several threads have added
 *
 *	race [--steps N] [--seed S]
 *
 * A CPU in the guest holds no lock and takes part in nothing but the flushing
 * protocol of Documentation/locking.rst. Threads run as they like: a seed does not
 * mean the same run.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <tap.h>
#include <unistd.h>
#include "../../../mmu/rmap.h"
#include "../../../mmu/spte.h"
#include "../../../mmu/table.h"
#include "race.h"
#include "shim.h"

/* Frames that the EPT guests use, and pages of the shadow guests. */
#define NR_TLB		2048

/*
 * Guest tables, of the first slot: a root, two more, and two of the last level, so
 * that CPUs meet in one page, and in the rmaps of frames that two pages map.
 */
#define ROOT_GFN	1
#define PT_GFN		4
#define NR_PTS		2u
#define PTE		0x67ull
#define SELF		511		/* entry of the last level that maps its table */
#define OWN_ENTRIES	48		/* entries of each CPU's own, in both tables */
#define POPULAR		4		/* frames that have many aliases */

struct translation {
	bool valid, w, dirty;
	kvm_pfn_t pfn;
};

struct racer {
	struct umbra_mmu_vcpu v;
	int nr;
	bool in_guest, kicked, reload;
	struct translation tlb[NR_TLB];
	gfn_t target[OWN_ENTRIES];	/* what the own entries map */
	u64 accesses, faults, kicks;
};

static struct racer racer[NR_RACERS];
static bool stopping;
static u64 seed = 1, steps = 20000;

void broken(const char *format, ...)
{
	va_list args;

	flockfile(stdout);
	printf("# wrong: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nnot ok 1 - race\n1..1\n");
	fflush(stdout);
	_exit(1);
}

/* ---- the CPU side of mmu/ ---- */

static void kick_all(struct umbra_mmu *mmu)
{
	for (int i = 0; i < NR_RACERS; i++) {
		struct racer *r = &racer[i];

		if (!__atomic_load_n(&r->in_guest, __ATOMIC_SEQ_CST))
			continue;
		__atomic_store_n(&r->kicked, true, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&r->in_guest, __ATOMIC_SEQ_CST) &&
		       __atomic_load_n(&r->kicked, __ATOMIC_SEQ_CST))
			sched_yield();
	}
}

static void request_reload(struct umbra_mmu_vcpu *v)
{
	__atomic_store_n(&container_of(v, struct racer, v)->reload, true, __ATOMIC_SEQ_CST);
}

static void set_logging(struct umbra_mmu *mmu)
{
}

const struct umbra_cpu_ops race_cpu_ops = {
	.kick_all = kick_all,
	.request_reload = request_reload,
	.set_logging = set_logging,
};

static void leave(struct racer *r)
{
	/* Who kicks waits for one of the two. */
	__atomic_store_n(&r->in_guest, false, __ATOMIC_SEQ_CST);
	__atomic_store_n(&r->kicked, false, __ATOMIC_SEQ_CST);
}

static void enter(struct racer *r)
{
	struct umbra_mmu_vcpu *v = &r->v;
	u64 gen;

	for (;;) {
		if (__atomic_exchange_n(&r->reload, false, __ATOMIC_SEQ_CST) ||
		    v->root == INVALID_PAGE) {
			int idx = srcu_read_lock(&race_mmu.srcu);

			if (umbra_mmu_load(v))
				broken("no memory");
			srcu_read_unlock(&race_mmu.srcu, idx);
		}
		__atomic_store_n(&r->in_guest, true, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&r->reload, __ATOMIC_SEQ_CST))
			break;
		leave(r);
	}
	gen = atomic64_read(&race_mmu.tlb_gen);
	if (gen != v->tlb_gen || v->flush_guest) {
		memset(r->tlb, 0, sizeof(r->tlb));
		v->tlb_gen = gen;
		v->flush_guest = false;
	}
}

/* ---- walks of the tables that mmu/ made ---- */

/* The CPU sets flags with a locked compare-exchange. */
static bool set_flags(u64 *sptep, u64 spte, u64 flags)
{
	return (spte & flags) == flags ||
	       __atomic_compare_exchange_n(sptep, &spte, spte | flags, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static u64 *entry_of(u64 table, u64 frame, int level)
{
	if (!shim_page_live(table))
		broken("the CPU walks a table that was freed");
	return (u64 *)__va(table) + umbra_table_index(frame, level);
}

/* Return: false for a fault, with its code. */
static bool walk(struct racer *r, u64 frame, bool write, struct translation *t, u32 *code)
{
	bool ept = r->v.family == UMBRA_FAMILY_EPT;
	const struct umbra_format *fmt = ept ? &umbra_format_ept : &umbra_format_shadow;
	u64 large = ept ? EPT_LARGE : PT_LARGE, dirty = ept ? EPT_DIRTY : PT_DIRTY;
	u64 table = r->v.root, spte, *sptep;
	int level = 4;

again:
	for (;; level--) {
		sptep = entry_of(table, frame, level);
		spte = __atomic_load_n(sptep, __ATOMIC_SEQ_CST);
		*code = write ? UMBRA_ACC_WRITE : 0;
		if (!(spte & fmt->present))
			return false;
		*code |= UMBRA_ACC_PRESENT;
		if (spte & fmt->absent) {
			*code |= UMBRA_ACC_RSVD;
			return false;
		}
		table = spte & SPTE_ADDR;
		if (level == 1 || spte & large)
			break;
	}
	if (write && !(spte & fmt->write))
		return false;
	if (!set_flags(sptep, spte, fmt->accessed | (write ? dirty : 0))) {
		table = r->v.root;
		level = 4;
		goto again;
	}
	*t = (struct translation) {
		.valid = true, .w = spte & fmt->write, .dirty = write || spte & dirty,
		.pfn = table >> 12 | (frame & (umbra_level_frames(level) - 1)),
	};
	return true;
}

/*
 * In the guest: through the TLB, or a walk that fills it. Return: the page, or -1
 * with the code of a fault.
 */
static int use(struct racer *r, u64 frame, bool write, const u64 *data, u32 *code)
{
	struct translation *t = &r->tlb[frame % NR_TLB];
	int page;

	if (!t->valid || (write && (!t->w || !t->dirty)))
		if (!walk(r, frame, write, t, code)) {
			t->valid = false;
			return -1;
		}
	page = use_frame(t->pfn, write);
	if (write)
		__atomic_store_n(&ram[page][data[0]], data[1], __ATOMIC_RELAXED);
	r->accesses++;
	return page;
}

/* ---- faults ---- */

/* Return: false when the access is over. */
static bool handle(struct racer *r, u64 addr, u32 code, const u64 *data)
{
	struct umbra_fault f = { .addr = addr, .access = code };
	int idx = srcu_read_lock(&race_mmu.srcu), result;

	r->faults++;
	result = r->v.family == UMBRA_FAMILY_EPT ? umbra_mmu_ept_fault(&r->v, &f) :
						   umbra_mmu_shadow_fault(&r->v, &f);
	if (result == UMBRA_FAULT_EMULATE && f.tracked)
		umbra_mmu_guest_write(&r->v, (f.gpa & PAGE_MASK) + 8 * data[0], &data[1], 8);
	else if (result == UMBRA_FAULT_GUEST)
		broken("#PF %x at %llx", f.guest.error_code, addr);
	else if (result < 0)
		broken("a fault at %llx gives %d", addr, result);
	srcu_read_unlock(&race_mmu.srcu, idx);
	return result != UMBRA_FAULT_EMULATE;
}

/*
 * One access, with all the exits that it takes. @data: index of the word in the
 * page, and its value. Return: the page, -1 when it was emulated.
 */
static int access_frame(struct racer *r, u64 frame, bool write, const u64 *data)
{
	u32 code = 0;
	int page;

	for (;;) {
		if (!r->in_guest)
			enter(r);
		page = use(r, frame, write, data, &code);
		if (page >= 0)
			break;
		leave(r);
		if (!handle(r, frame << 12, code, data))
			return -1;
	}
	/* Interrupts come between instructions. */
	if (__atomic_load_n(&r->kicked, __ATOMIC_SEQ_CST)) {
		r->kicks++;
		leave(r);
	}
	return page;
}

/* ---- guests ---- */

static u64 random_frame(void)
{
	switch (rnd(8)) {
	case 0:
		return PASSING_GFN + rnd(40);
	case 1 ... 2:
		return TABLES_GFN + 16 + rnd(40);
	default:
		return LARGE_GFN + (chance(60) ? rnd(16) : rnd(512));
	}
}

static void ept_step(struct racer *r)
{
	const u64 data[] = { rnd(512), rnd64() };

	access_frame(r, random_frame(), chance(50), data);
}

/* The linear page that entry @index of a table of the last level maps. */
static u64 linear_frame(unsigned int table, unsigned int index)
{
	return table * 512 + index;
}

static unsigned int own_index(const struct racer *r, unsigned int i)
{
	return r->nr * OWN_ENTRIES + i;
}

/* The CPUs' own entries are in both tables in turn. */
static u64 own_frame(const struct racer *r, unsigned int i)
{
	return linear_frame(i % NR_PTS, own_index(r, i));
}

static gfn_t random_target(void)
{
	if (chance(40))
		return LARGE_GFN + rnd(POPULAR);
	return chance(10) ? PASSING_GFN + rnd(32) : LARGE_GFN + rnd(512);
}

static int target_page(gfn_t gfn)
{
	const struct race_slot *slot = &race_slot[gfn < PASSING_GFN ? SLOT_LARGE : SLOT_PASSING];

	return slot->first_page + gfn - slot->base;
}

/* An edit as the guest's own write through the table's mapping, or emulated. */
static void edit(struct racer *r, unsigned int i)
{
	gfn_t target = random_target();
	const u64 data[] = { own_index(r, i), target << 12 | PTE };

	if (chance(60)) {
		access_frame(r, linear_frame(i % NR_PTS, SELF), true, data);
	} else {
		int idx;

		leave(r);
		idx = srcu_read_lock(&race_mmu.srcu);
		if (umbra_mmu_guest_write(&r->v, ((PT_GFN + i % NR_PTS) << 12) + 8 * data[0],
					  &data[1], 8))
			broken("a table cannot be written");
		srcu_read_unlock(&race_mmu.srcu, idx);
	}
	r->target[i] = target;
}

static void invalidate(struct racer *r, unsigned int i)
{
	int idx = srcu_read_lock(&race_mmu.srcu);

	leave(r);
	if (chance(70)) {
		umbra_mmu_invlpg(&r->v, own_frame(r, i) << 12);
		r->tlb[own_frame(r, i) % NR_TLB].valid = false;
	} else if (chance(50)) {
		umbra_mmu_set_cr3(&r->v, false);
	} else {
		umbra_mmu_invalidate_all(&r->v);
	}
	srcu_read_unlock(&race_mmu.srcu, idx);
}

static void shadow_step(struct racer *r)
{
	const u64 data[] = { rnd(512), rnd64() };
	unsigned int i = rnd(OWN_ENTRIES);
	int page;

	if (chance(20)) {
		edit(r, i);
		invalidate(r, i);
	}
	page = access_frame(r, own_frame(r, i), chance(40), data);
	if (page >= 0 && page != target_page(r->target[i]))
		broken("linear page %llx is page %d, not frame %llx", own_frame(r, i), page,
		       r->target[i]);
}

/* ---- threads ---- */

static void *run_racer(void *arg)
{
	struct racer *r = arg;

	random_state = seed * 10 + r->nr;
	for (u64 i = 0; i < steps; i++) {
		if (r->v.family == UMBRA_FAMILY_EPT)
			ept_step(r);
		else
			shadow_step(r);
	}
	leave(r);
	return NULL;
}

static void *run_host(void *arg)
{
	void (*event)(void) = arg;

	random_state = seed * 10 + 5 + (event == slot_event);
	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		event();
		/* The guests should get something done in between. */
		usleep(50);
	}
	return NULL;
}

static void make_tables(void)
{
	const unsigned int first = race_slot[SLOT_TABLES].first_page;

	for (gfn_t gfn = ROOT_GFN; gfn < PT_GFN; gfn++)
		ram[first + gfn][0] = (gfn + 1) << 12 | PTE;
	for (unsigned int t = 0; t < NR_PTS; t++) {
		ram[first + PT_GFN - 1][t] = (u64)(PT_GFN + t) << 12 | PTE;
		ram[first + PT_GFN + t][SELF] = (u64)(PT_GFN + t) << 12 | PTE;
	}
	for (int i = 0; i < NR_RACERS; i++) {
		for (unsigned int k = 0; k < OWN_ENTRIES; k++) {
			racer[i].target[k] = LARGE_GFN + k;
			ram[first + PT_GFN + k % NR_PTS][own_index(&racer[i], k)] =
				racer[i].target[k] << 12 | PTE;
		}
	}
}

static void start_racer(struct racer *r, bool paging)
{
	struct umbra_paging_state *s = &r->v.state;

	if (umbra_mmu_vcpu_init(&r->v, &race_mmu))
		broken("no memory");
	*s = (struct umbra_paging_state) { .cr0 = X86_CR0_PE, .maxphyaddr = 40 };
	if (paging) {
		s->cr0 |= X86_CR0_PG | X86_CR0_WP;
		s->cr4 = X86_CR4_PAE;
		s->efer = EFER_LME | EFER_LMA;
		s->cr3 = ROOT_GFN << 12;
		s->state_legal = true;
	}
	umbra_mmu_state_changed(&r->v);
}

static void audit(void)
{
	struct umbra_audit found;
	int idx = srcu_read_lock(&race_mmu.srcu);

	umbra_mmu_audit(&race_mmu, true, &found);
	srcu_read_unlock(&race_mmu.srcu, idx);
	if (found.findings)
		broken("the auditor finds %lu things, the first: %s", found.findings, found.first);
}

/* One VM whose CPUs are of the given kinds. */
static void scene(const char *name, bool paging_0, bool paging_1, bool ad)
{
	pthread_t cpu_thread[NR_RACERS], host, slots;
	const bool paging[] = { paging_0, paging_1 };

	random_state = seed;
	memset(racer, 0, sizeof(racer));
	host_start(paging_0 || paging_1 ? UMBRA_POLICY_SHADOW : UMBRA_POLICY_EPT, ad);
	for (int i = 0; i < NR_RACERS; i++)
		racer[i].nr = i;
	make_tables();
	for (int i = 0; i < NR_RACERS; i++)
		start_racer(&racer[i], paging[i]);
	stopping = false;
	pthread_create(&host, NULL, run_host, host_event);
	pthread_create(&slots, NULL, run_host, slot_event);
	for (int i = 0; i < NR_RACERS; i++)
		pthread_create(&cpu_thread[i], NULL, run_racer, &racer[i]);
	for (int i = 0; i < NR_RACERS; i++)
		pthread_join(cpu_thread[i], NULL);
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	pthread_join(host, NULL);
	pthread_join(slots, NULL);
	audit();
	printf("# %s: accesses %llu, faults %llu, kicks %llu\n", name,
	       racer[0].accesses + racer[1].accesses, racer[0].faults + racer[1].faults,
	       racer[0].kicks + racer[1].kicks);
	for (int i = 0; i < NR_RACERS; i++)
		umbra_mmu_vcpu_destroy(&racer[i].v);
	host_stop();
	ok(!shim_pages && !shim_objects, "%s: nothing is wrong, nothing is leaked", name);
}

/* ---- reverse maps, that several threads add to ---- */

#define NR_SETS		4
#define NR_MEMBERS	400	/* of each thread in each set */

static struct umbra_rmap_head set[NR_SETS];
static u64 member[NR_RACERS][NR_SETS][NR_MEMBERS];

static void *add_members(void *arg)
{
	struct racer *r = arg;

	for (unsigned int i = 0; i < NR_MEMBERS; i++) {
		for (unsigned int s = 0; s < NR_SETS; s++) {
			if (umbra_cache_topup(&r->v, UMBRA_FAMILY_SHADOW))
				broken("no memory");
			read_lock(&race_mmu.lock);
			if (!umbra_rmap_add(&r->v, &set[s], &member[r->nr][s][i], 0))
				broken("a member cannot be added");
			read_unlock(&race_mmu.lock);
		}
		if (i % 8 == 0)
			sched_yield();
	}
	return NULL;
}

static void scene_rmap(void)
{
	pthread_t thread[NR_RACERS];
	bool good = true;

	memset(racer, 0, sizeof(racer));
	host_start(UMBRA_POLICY_SHADOW, true);
	for (int i = 0; i < NR_RACERS; i++) {
		racer[i].nr = i;
		racer[i].v.mmu = &race_mmu;
		pthread_create(&thread[i], NULL, add_members, &racer[i]);
	}
	for (int i = 0; i < NR_RACERS; i++) {
		pthread_join(thread[i], NULL);
		umbra_cache_drain(&racer[i].v);
	}
	for (unsigned int s = 0; s < NR_SETS; s++) {
		good &= umbra_rmap_valid(&set[s]);
		good &= umbra_rmap_count(&set[s]) == NR_RACERS * NR_MEMBERS;
		umbra_rmap_clear(&set[s]);
	}
	host_stop();
	ok(good && !shim_pages && !shim_objects, "members are added by two threads");
}

/* ---- arrays of slots that are there before shadow paging is chosen ---- */

static void *age_frames(void *arg)
{
	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		int idx = srcu_read_lock(&race_mmu.srcu);

		write_lock(&race_mmu.lock);
		umbra_mmu_age_gfns(&race_mmu, umbra_gfn_to_slot(&race_mmu, LARGE_GFN), LARGE_GFN,
				   LARGE_GFN + 1, true);
		write_unlock(&race_mmu.lock);
		srcu_read_unlock(&race_mmu.srcu, idx);
	}
	return NULL;
}

static void scene_arrays(void)
{
	pthread_t thread;

	host_start(UMBRA_POLICY_EPT, true);
	stopping = false;
	pthread_create(&thread, NULL, age_frames, NULL);
	usleep(1000);
	race_mmu.policy = UMBRA_POLICY_SHADOW;
	if (umbra_mmu_slots_prepare(&race_mmu))
		broken("no memory");
	usleep(1000);
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	host_stop();
	ok(!shim_pages && !shim_objects, "slots get their arrays while the host looks at them");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "steps", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "n:s:", options, NULL)) != -1) {
		if (option == 'n')
			steps = strtoull(optarg, NULL, 0);
		else if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			exit(2);
	}
	scene_rmap();
	scene_arrays();
	scene("EPT", false, false, true);
	scene("EPT without A/D flags", false, false, false);
	scene("shadow pages", true, true, true);
	scene("both families", true, false, true);
	return tap_done();
}
