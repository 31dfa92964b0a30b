// SPDX-License-Identifier: GPL-2.0
/*
 * umbra_walk() against the reference walker, on random tables in every mode,
 * and a list of cases written by hand.
 *
 *	test_walk [ACCESSES [SEED]]
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <stdlib.h>
#include <string.h>
#include <tap.h>
#include <umbra/hostmem.h>
#include "../../../mmu/store.h"
#include "../../../mmu/walk.h"
#include "random.h"
#include "reference.h"

/* Guest memory: frames 0..NR-1, of which the last few are read-only. */
#define NR_FRAMES	64
#define ROM_FRAME	60

static uint8_t memory[NR_FRAMES][4096] __aligned(4096);
static struct umbra_mmu_vcpu vcpu;
static struct umbra_mmu mmu;

/* What the walker wrote. */
static struct {
	uint64_t gpa, new;
	unsigned int len;
} written[8];
static unsigned int nr_written;
static int race_percent;
static unsigned int races;

static bool in_memory(uint64_t gpa, unsigned int len)
{
	return gpa < sizeof(memory) && len <= sizeof(memory) - gpa;
}

static uint64_t memory_get(uint64_t gpa, unsigned int len)
{
	uint64_t value = 0;

	if (in_memory(gpa, len))
		memcpy(&value, (uint8_t *)memory + gpa, len);
	return value;
}

static void memory_set(uint64_t gpa, uint64_t value, unsigned int len)
{
	if (in_memory(gpa, len))
		memcpy((uint8_t *)memory + gpa, &value, len);
}

int umbra_guest_read(struct umbra_mmu *m, gpa_t gpa, void *data, unsigned int len)
{
	if (!in_memory(gpa, len))
		return -EFAULT;
	memcpy(data, (uint8_t *)memory + gpa, len);
	return 0;
}

int umbra_store_flags(struct umbra_mmu_vcpu *v, gpa_t gpa, u64 *old, u64 new, unsigned int len)
{
	uint64_t found;

	if (!in_memory(gpa, len) || gpa >> 12 >= ROM_FRAME)
		return -EFAULT;
	if (gpa % len)
		abort();
	/* Another CPU was faster. */
	if (chance(race_percent)) {
		races++;
		memory_set(gpa, memory_get(gpa, len) ^ 1ull << rnd(len * 8), len);
	}
	found = memory_get(gpa, len);
	if (found != *old) {
		*old = found;
		return -EAGAIN;
	}
	memory_set(gpa, new, len);
	if (nr_written < ARRAY_SIZE(written)) {
		written[nr_written].gpa = gpa;
		written[nr_written].new = new;
		written[nr_written++].len = len;
	}
	return 0;
}

static uint64_t read_memory(void *ctx, uint64_t gpa, int bytes)
{
	return memory_get(gpa, bytes);
}

static struct ref_cpu ref_cpu(void)
{
	struct ref_cpu cpu = {
		.cr0 = vcpu.state.cr0, .cr3 = vcpu.state.cr3,
		.cr4 = vcpu.state.cr4, .efer = vcpu.state.efer,
		.pkru = vcpu.state.pkru, .ac = vcpu.state.rflags_ac, .cpl = vcpu.state.cpl,
		.maxphyaddr = vcpu.state.maxphyaddr, .gbpages = vcpu.state.has_gbpages,
	};

	memcpy(cpu.pdpte, vcpu.pdptrs, sizeof(cpu.pdpte));
	return cpu;
}

enum mode { UNPAGED, TWO_LEVEL, PAE, FOUR_LEVEL, FIVE_LEVEL, NR_MODES };

static void set_mode(enum mode mode)
{
	static const u64 cr4[] = {
		[PAE] = X86_CR4_PAE, [FOUR_LEVEL] = X86_CR4_PAE,
		[FIVE_LEVEL] = X86_CR4_PAE | X86_CR4_LA57,
	};

	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.mmu = &mmu;
	vcpu.state.cr0 = X86_CR0_PE | (mode == UNPAGED ? 0 : X86_CR0_PG);
	vcpu.state.cr4 = mode == FIVE_LEVEL ? cr4[FIVE_LEVEL] : mode >= PAE ? cr4[PAE] : 0;
	vcpu.state.efer = mode >= FOUR_LEVEL ? EFER_LMA | EFER_LME : 0;
	vcpu.state.cr3 = 0x1000;
	vcpu.state.maxphyaddr = 40;
}

/* ---- random ---- */

static u64 random_table_address(void)
{
	/* Mostly memory, sometimes ROM, holes, or anything. */
	switch (rnd(40)) {
	case 0:
		return rnd64() & GENMASK_ULL(51, 12);
	case 1:
		return (u64)(NR_FRAMES + rnd(NR_FRAMES)) << 12;
	default:
		return (u64)rnd(NR_FRAMES) << 12;
	}
}

static u64 random_entry(bool is_64bit)
{
	u64 entry = random_table_address();

	if (chance(3))
		return rnd64();
	entry |= rnd64() & 0xf7e;		/* flags but P and PS */
	entry |= chance(97);			/* P */
	entry |= chance(80) ? GPTE_WRITE : 0;
	entry |= chance(80) ? GPTE_USER : 0;
	if (chance(12))
		entry |= GPTE_PS;
	if (entry & GPTE_PS && chance(80))	/* mostly aligned */
		entry &= ~GENMASK_ULL(chance(50) ? 20 : 29, 13);
	if (chance(5))
		entry |= BIT_ULL(13 + rnd(50));
	if (is_64bit && chance(15))
		entry |= GPTE_NX;
	if (is_64bit && chance(10))
		entry |= rnd64() & GENMASK_ULL(62, 59);
	return entry;
}

static void random_state_bits(enum mode mode)
{
	struct umbra_paging_state *state = &vcpu.state;

	state->cr0 |= chance(60) ? X86_CR0_WP : 0;
	state->cr4 |= chance(40) ? X86_CR4_SMEP : 0;
	state->cr4 |= chance(40) ? X86_CR4_SMAP : 0;
	state->cr4 |= chance(40) ? X86_CR4_PKE : 0;
	state->pkru = chance(50) ? rnd64() & rnd64() : 0;
	state->cr4 |= chance(60) ? X86_CR4_PSE : 0;
	state->cr4 |= chance(60) ? X86_CR4_PGE : 0;
	state->efer |= chance(70) ? EFER_NX : 0;
	state->rflags_ac = chance(40);
	state->cpl = chance(50) ? 3 : 0;
	state->maxphyaddr = 32 + rnd(21);
	state->has_gbpages = chance(50);
	state->cr3 = random_table_address() | (rnd64() & 0xfff);
	if (mode <= PAE)
		state->cr3 &= U32_MAX;
	for (int i = 0; i < 4; i++)
		vcpu.pdptrs[i] = random_table_address() | chance(90);
}

static u64 random_gva(enum mode mode)
{
	u64 gva = rnd64();

	if (mode <= PAE)
		return gva & U32_MAX;
	return mode == FOUR_LEVEL ? (u64)((s64)(gva << 16) >> 16) : (u64)((s64)(gva << 7) >> 7);
}

/* Make the path of @gva worth walking: garbage mostly ends at the top. */
static void prepare_path(enum mode mode, const struct ref_access *access)
{
	struct ref_cpu cpu = ref_cpu();
	struct ref_result r;

	if (mode == UNPAGED)
		return;
	for (int i = 0; i < 5; i++) {
		reference_walk(&cpu, access, read_memory, NULL, &r);
		if (i >= r.nr)
			return;
		if (!(r.entry[i].value & 1) || chance(60))
			memory_set(r.entry[i].gpa, random_entry(r.entry[i].bytes == 8),
				   r.entry[i].bytes);
	}
}

/* The same entry may serve two levels, and then gets the flags of both. */
static u64 merged(const struct ref_result *r, int i)
{
	u64 value = 0;

	for (int k = 0; k < r->nr; k++)
		if (r->entry[k].gpa == r->entry[i].gpa)
			value |= r->entry[k].updated;
	return value;
}

/* All entries have their flags in memory, and nothing else was written. */
static bool same_updates(const struct ref_result *r)
{
	for (int i = 0; i < r->nr; i++)
		if (memory_get(r->entry[i].gpa, r->entry[i].bytes) != merged(r, i))
			return false;
	for (unsigned int n = 0; n < nr_written; n++) {
		bool known = false;

		for (int i = 0; i < r->nr; i++)
			known |= written[n].gpa == r->entry[i].gpa &&
				 r->entry[i].value != merged(r, i);
		if (!known)
			return false;
	}
	return true;
}

/* Flags cannot be set in ROM: then the walk faults, as umbra_walk() says. */
static void apply_rom_rule(struct ref_result *r, const struct ref_access *access)
{
	for (int i = 0; i < r->nr && !r->fault; i++) {
		if (r->entry[i].updated == r->entry[i].value ||
		    r->entry[i].gpa >> 12 < ROM_FRAME)
			continue;
		r->fault = true;
		r->error_code = 1 | access->write << 1 | access->user << 2;
		if (access->fetch && (vcpu.state.cr4 & X86_CR4_SMEP ||
				      (vcpu.state.cr4 & X86_CR4_PAE &&
				       vcpu.state.efer & EFER_NX)))
			r->error_code |= 16;
		nr_written = 0;
	}
}

static bool same_outcome(int ret, const struct umbra_walk *walk, const struct ref_result *r)
{
	if (r->fault)
		return ret == -EFAULT && walk->exc.valid && walk->exc.has_error_code &&
		       walk->exc.vector == 14 && walk->exc.error_code == r->error_code &&
		       walk->exc.cr2 == walk->gva;
	return ret == 0 && !walk->exc.valid && walk->gpa == r->gpa &&
	       walk->gfn == r->gpa >> 12 &&
	       !!(walk->pte_access & WALK_ACC_WRITE) == r->writable &&
	       !!(walk->pte_access & WALK_ACC_USER) == r->user &&
	       !!(walk->pte_access & WALK_ACC_EXEC) == r->executable;
}

/* Entries, their addresses and the rights above them, top to bottom. */
static bool same_path(const struct umbra_walk *walk, const struct ref_result *r)
{
	u32 rights = WALK_ACC_ALL;
	int level = walk->top_level;

	if (!walk->top_level)
		return true;
	if (vcpu.state.cr4 & X86_CR4_PAE && !(vcpu.state.efer & EFER_LMA))
		level = 2;
	if (level - r->nr + 1 != walk->level)
		return r->nr == 0 && walk->level == 3;
	for (int i = 0; i < r->nr; i++, level--) {
		u64 now = r->fault ? r->entry[i].value : r->entry[i].updated;

		if (walk->gpte_gpa[level - 1] != r->entry[i].gpa ||
		    walk->table_gfn[level - 1] != r->entry[i].gpa >> 12 ||
		    (walk->gpte[level - 1] != now && walk->gpte[level - 1] != merged(r, i)) ||
		    walk->table_access[level - 1] != rights)
			return false;
		rights &= (now & 6) | (r->entry[i].bytes == 4 || !(now >> 63));
	}
	return r->fault || walk->dirty == !!(r->entry[r->nr - 1].updated & 0x40);
}

static void complain(enum mode mode, const struct ref_access *a, int ret,
		     const struct umbra_walk *walk, const struct ref_result *r)
{
	printf("# mode %d gva %llx %s%s%s cr0 %llx cr3 %llx cr4 %llx efer %llx max %d\n", mode,
	       (u64)a->gva, a->write ? "W" : "", a->user ? "U" : "", a->fetch ? "X" : "",
	       vcpu.state.cr0, vcpu.state.cr3, vcpu.state.cr4, vcpu.state.efer,
	       vcpu.state.maxphyaddr);
	for (int i = 0; i < r->nr; i++)
		printf("#   [%llx] %llx -> %llx\n", (u64)r->entry[i].gpa, (u64)r->entry[i].value,
		       (u64)r->entry[i].updated);
	printf("# reference: fault %d code %x gpa %llx\n", r->fault, r->error_code, (u64)r->gpa);
	printf("# walker: ret %d code %x gpa %llx level %d, %u written\n", ret,
	       walk->exc.valid ? walk->exc.error_code : 0, walk->gpa, walk->level, nr_written);
}

static void random_access(struct ref_access *access, enum mode mode)
{
	access->gva = random_gva(mode);
	access->fetch = chance(30);
	access->write = !access->fetch && chance(50);
	/* User accesses come from CPL 3; supervisor ones from any. */
	access->user = vcpu.state.cpl == 3 && chance(70);
}

static u32 access_bits(const struct ref_access *a)
{
	return a->write * UMBRA_ACC_WRITE | a->user * UMBRA_ACC_USER |
	       a->fetch * UMBRA_ACC_FETCH;
}

struct tally {
	unsigned long walks, faults, updates, levels[6], codes[64];
};

static bool one_random_walk(enum mode mode, struct tally *tally)
{
	bool quiet = chance(10);
	struct umbra_walk walk;
	struct ref_access access;
	struct ref_result r;
	struct ref_cpu cpu = ref_cpu();
	bool good;
	int ret;

	random_access(&access, mode);
	prepare_path(mode, &access);
	reference_walk(&cpu, &access, read_memory, NULL, &r);
	if (quiet)
		for (int i = 0; i < r.nr; i++)
			r.entry[i].updated = r.entry[i].value;

	nr_written = 0;
	memset(&walk, 0xa5, sizeof(walk));
	ret = umbra_walk(&vcpu, access.gva, access_bits(&access), !quiet, &walk);

	tally->walks++;
	tally->updates += nr_written;
	apply_rom_rule(&r, &access);
	tally->faults += r.fault;
	if (r.fault)
		tally->codes[r.error_code]++;
	else
		tally->levels[walk.level]++;
	good = same_outcome(ret, &walk, &r) &&
	       (r.fault ? nr_written == 0 : same_updates(&r) && same_path(&walk, &r));
	if (!good)
		complain(mode, &access, ret, &walk, &r);
	return good;
}

static void random_mode(enum mode mode, const char *name, unsigned long accesses)
{
	struct tally tally = {};
	bool good = true;

	while (good && tally.walks < accesses) {
		set_mode(mode);
		random_state_bits(mode);
		for (int i = 0; good && i < 50; i++)
			good = one_random_walk(mode, &tally);
	}
	ok(good, "%s: %lu random accesses, %lu faults, %lu flags set", name, tally.walks,
	   tally.faults, tally.updates);
	printf("# leaves: 4K %lu, large %lu, 1G %lu\n", tally.levels[1], tally.levels[2],
	       tally.levels[3]);
}

/* Entries that change under the compare-exchange: the last state counts. */
static void racing_walks(unsigned long accesses)
{
	unsigned long i, undecided = 0;
	bool good = true;

	race_percent = 30;
	races = 0;
	for (i = 0; good && i < accesses; i++) {
		enum mode mode = TWO_LEVEL + rnd(4);
		struct ref_access access;
		struct umbra_walk walk;
		struct ref_result r;
		struct ref_cpu cpu;
		int ret;

		set_mode(mode);
		random_state_bits(mode);
		random_access(&access, mode);
		prepare_path(mode, &access);
		nr_written = 0;
		ret = umbra_walk(&vcpu, access.gva, access_bits(&access), true, &walk);
		cpu = ref_cpu();
		reference_walk(&cpu, &access, read_memory, NULL, &r);
		apply_rom_rule(&r, &access);
		good = same_outcome(ret, &walk, &r);
		for (int k = 0; good && !ret && k < r.nr; k++)
			good = r.entry[k].updated == r.entry[k].value;
		if (!good)
			complain(mode, &access, ret, &walk, &r);
		undecided += walk.exc.valid;
	}
	ok(good && races, "%lu accesses with %u lost compare-exchanges", i, races);

	/* Nothing but lost races: the walk ends all the same. */
	race_percent = 100;
	{
		struct umbra_walk walk;

		set_mode(TWO_LEVEL);
		memory_set(0x1000, 0x2007, 4);
		memory_set(0x2000, 0x3007, 4);
		ok(umbra_walk(&vcpu, 0, 0, true, &walk) == -EFAULT,
		   "a walk that always loses the race ends");
	}
	race_percent = 0;
}

/* ---- by hand ---- */

struct hand_case {
	const char *name;
	enum mode mode;
	u64 cr0, cr4, efer;		/* added to the mode's */
	int cpl, ac, maxphyaddr, gbpages;
	u32 pkru;
	u64 gva;
	u32 access;
	u64 entry[5];			/* top first; at frames 1, 2, 3, ... */
	int code;			/* error code, or -1: translates */
	u64 gpa;
};

#define W	UMBRA_ACC_WRITE
#define U	UMBRA_ACC_USER
#define X	UMBRA_ACC_FETCH
#define NX	GPTE_NX
#define GOOD	-1
#define KEYED(key)								\
	FOUR_LEVEL, .cr4 = X86_CR4_PKE,						\
	.entry = { 0x2007, 0x3007, 0x4007, 0x9007 | (u64)(key) << 59 }

static const struct hand_case hand_cases[] = {
	{ "unpaged is the identity", UNPAGED, .gva = 0xfedcba98, .code = GOOD, .gpa = 0xfedcba98 },
	{ "4-level page", FOUR_LEVEL, .gva = 0x123, .entry = { 0x2007, 0x3007, 0x4007, 0x9007 },
	  .code = GOOD, .gpa = 0x9123 },
	{ "4-level not present", FOUR_LEVEL, .access = W | U, .cpl = 3,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9006 }, .code = 6 },
	{ "read-only, user write", FOUR_LEVEL, .access = W | U, .cpl = 3,
	  .entry = { 0x2007, 0x3005, 0x4007, 0x9007 }, .code = 7 },
	{ "read-only, supervisor write, WP=0", FOUR_LEVEL, .access = W,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9005 }, .code = GOOD, .gpa = 0x9000 },
	{ "read-only, supervisor write, WP=1", FOUR_LEVEL, .cr0 = X86_CR0_WP, .access = W,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9005 }, .code = 3 },
	{ "supervisor page, user read", FOUR_LEVEL, .access = U, .cpl = 3,
	  .entry = { 0x2003, 0x3007, 0x4007, 0x9007 }, .code = 5 },
	{ "NX fetch with NXE", FOUR_LEVEL, .efer = EFER_NX, .access = X,
	  .entry = { 0x2007, 0x3007 | NX, 0x4007, 0x9007 }, .code = 17 },
	{ "NX bit without NXE is reserved", FOUR_LEVEL, .access = X,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9007 | NX }, .code = 9 },
	{ "no fetch bit without NXE and SMEP", FOUR_LEVEL, .access = X | U, .cpl = 3,
	  .entry = { 0x2003, 0x3007, 0x4007, 0x9007 }, .code = 5 },
	{ "SMEP: supervisor fetch from a user page", FOUR_LEVEL, .cr4 = X86_CR4_SMEP,
	  .access = X, .entry = { 0x2007, 0x3007, 0x4007, 0x9007 }, .code = 17 },
	{ "SMEP: supervisor fetch from a supervisor page", FOUR_LEVEL, .cr4 = X86_CR4_SMEP,
	  .access = X, .entry = { 0x2007, 0x3007, 0x4007, 0x9003 }, .code = GOOD, .gpa = 0x9000 },
	{ "SMEP in 32-bit mode reports the fetch", TWO_LEVEL, .cr4 = X86_CR4_SMEP,
	  .access = X, .entry = { 0x2006 }, .code = 16 },
	{ "NXE without PAE does not", TWO_LEVEL, .efer = EFER_NX, .access = X,
	  .entry = { 0x2006 }, .code = 0 },
	{ "SMAP: read of a user page, AC=0", FOUR_LEVEL, .cr4 = X86_CR4_SMAP,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9007 }, .code = 1 },
	{ "SMAP: with AC=1", FOUR_LEVEL, .cr4 = X86_CR4_SMAP, .ac = 1,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9007 }, .code = GOOD, .gpa = 0x9000 },
	{ "SMAP: implicit access, AC=1", FOUR_LEVEL, .cr4 = X86_CR4_SMAP, .ac = 1, .cpl = 3,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9007 }, .code = 1 },
	{ "SMAP does not touch fetches", FOUR_LEVEL, .cr4 = X86_CR4_SMAP, .access = X,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9007 }, .code = GOOD, .gpa = 0x9000 },
	{ "SMAP with WP=0: read-only user page", FOUR_LEVEL, .cr4 = X86_CR4_SMAP, .access = W,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9005 }, .code = 3 },
	{ "a key that bars access, read", KEYED(1), .pkru = 4, .code = 0x21 },
	{ "a key that bars access, user write", KEYED(1), .pkru = 4, .access = W | U, .cpl = 3,
	  .code = 0x27 },
	{ "a key that bars access, WP=0", KEYED(1), .pkru = 4, .access = W, .code = 0x23 },
	{ "a key that bars access, fetch", KEYED(1), .pkru = 0xc, .access = X, .code = GOOD,
	  .gpa = 0x9000 },
	{ "a key that bars writes, read", KEYED(15), .pkru = BIT(31), .access = U, .cpl = 3,
	  .code = GOOD, .gpa = 0x9000 },
	{ "a key that bars writes, user write, WP=0", KEYED(15), .pkru = BIT(31), .access = W | U,
	  .cpl = 3, .code = 0x27 },
	{ "a key that bars writes, supervisor write, WP=0", KEYED(15), .pkru = BIT(31),
	  .access = W, .code = GOOD, .gpa = 0x9000 },
	{ "a key that bars writes, supervisor write, WP=1", KEYED(15), .pkru = BIT(31),
	  .cr0 = X86_CR0_WP, .access = W, .code = 0x23 },
	{ "another key", KEYED(2), .pkru = ~0x30u, .access = W, .code = GOOD, .gpa = 0x9000 },
	{ "a key without CR4.PKE", FOUR_LEVEL, .pkru = ~0u, .access = W,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9007 | 1ull << 59 }, .code = GOOD, .gpa = 0x9000 },
	{ "a key of a supervisor page", FOUR_LEVEL, .cr4 = X86_CR4_PKE, .pkru = ~0u, .access = W,
	  .entry = { 0x2007, 0x3003, 0x4007, 0x9007 | 1ull << 59 }, .code = GOOD, .gpa = 0x9000 },
	{ "a key and a supervisor page, user read", FOUR_LEVEL, .cr4 = X86_CR4_PKE, .pkru = ~0u,
	  .access = U, .cpl = 3, .entry = { 0x2007, 0x3003, 0x4007, 0x9007 | 1ull << 59 },
	  .code = 5 },
	{ "a key and a read-only page", FOUR_LEVEL, .cr4 = X86_CR4_PKE, .pkru = 8, .access = W | U,
	  .cpl = 3, .entry = { 0x2007, 0x3007, 0x4007, 0x9005 | 1ull << 59 }, .code = 0x27 },
	{ "a key and SMAP", FOUR_LEVEL, .cr4 = X86_CR4_PKE | X86_CR4_SMAP, .pkru = 4,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9007 | 1ull << 59 }, .code = 0x21 },
	{ "a key and a reserved bit", FOUR_LEVEL, .cr4 = X86_CR4_PKE, .pkru = 4,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x9007 | 1ull << 59 | 1ull << 50 }, .code = 9 },
	{ "only the leaf's key counts", FOUR_LEVEL, .cr4 = X86_CR4_PKE, .pkru = 4,
	  .entry = { 0x2007 | 1ull << 59, 0x3007, 0x4007 | 1ull << 59, 0x9007 }, .code = GOOD,
	  .gpa = 0x9000 },
	{ "the key of a 2 MiB page", FOUR_LEVEL, .cr4 = X86_CR4_PKE, .pkru = 4,
	  .entry = { 0x2007, 0x3007, 0x600087 | 1ull << 59 }, .code = 0x21 },
	{ "PKE with PAE paging", PAE, .cr4 = X86_CR4_PKE, .pkru = ~0u, .access = W,
	  .entry = { 0x2007, 0x9007 }, .code = GOOD, .gpa = 0x9000 },
	{ "PS in a PML4E is reserved", FOUR_LEVEL, .entry = { 0x2087 }, .code = 9 },
	{ "1 GiB page", FOUR_LEVEL, .gbpages = 1, .gva = 0x12345678,
	  .entry = { 0x2007, 0x40000087 }, .code = GOOD, .gpa = 0x52345678 },
	{ "1 GiB page with PAT", FOUR_LEVEL, .gbpages = 1,
	  .entry = { 0x2007, 0x40001087 }, .code = GOOD, .gpa = 0x40000000 },
	{ "1 GiB page, low address bit", FOUR_LEVEL, .gbpages = 1,
	  .entry = { 0x2007, 0x40002087 }, .code = 9 },
	{ "1 GiB page that the CPU does not have", FOUR_LEVEL,
	  .entry = { 0x2007, 0x40000087 }, .code = 9 },
	{ "2 MiB page", FOUR_LEVEL, .gva = 0x12345, .entry = { 0x2007, 0x3007, 0x600087 },
	  .code = GOOD, .gpa = 0x612345 },
	{ "2 MiB page, low address bit", FOUR_LEVEL,
	  .entry = { 0x2007, 0x3007, 0x700087 }, .code = 9 },
	{ "bit 7 of a PTE is PAT", FOUR_LEVEL, .entry = { 0x2007, 0x3007, 0x4007, 0x9087 },
	  .code = GOOD, .gpa = 0x9000 },
	{ "above MAXPHYADDR", FOUR_LEVEL, .maxphyaddr = 36,
	  .entry = { 0x2007, 0x3007, 0x4007, BIT_ULL(36) | 7 }, .code = 9 },
	{ "below MAXPHYADDR", FOUR_LEVEL, .maxphyaddr = 37,
	  .entry = { 0x2007, 0x3007, 0x4007, BIT_ULL(36) | 7 }, .code = GOOD,
	  .gpa = BIT_ULL(36) },
	{ "bits 62:52 are ignored in long mode", FOUR_LEVEL,
	  .entry = { 0x2007 | GENMASK_ULL(62, 52), 0x3007, 0x4007, 0x9007 },
	  .code = GOOD, .gpa = 0x9000 },
	{ "and reserved with PAE", PAE, .entry = { 0x2007, 0x9007 | BIT_ULL(52) }, .code = 9 },
	{ "reserved wins over read-only", FOUR_LEVEL, .access = W | U, .cpl = 3,
	  .entry = { 0x2005, 0x3087 }, .code = 15 },
	{ "not present wins over read-only above", FOUR_LEVEL, .access = W | U, .cpl = 3,
	  .entry = { 0x2005, 0x3006 }, .code = 6 },
	{ "5-level page", FIVE_LEVEL, .gva = 0x1abc,
	  .entry = { 0x2007, 0x3007, 0x4007, 0x5007 }, .code = 0 },
	{ "5-level, PS at the top", FIVE_LEVEL, .entry = { 0x2087 }, .code = 9 },
	{ "PAE page", PAE, .gva = 0x21, .entry = { 0x2007, 0x9007 }, .code = GOOD, .gpa = 0x9021 },
	{ "PAE 2 MiB page", PAE, .gva = 0x1ff000, .entry = { 0x400087 }, .code = GOOD,
	  .gpa = 0x5ff000 },
	{ "PAE absent PDPTE", PAE, .gva = 0x40000000, .access = W, .code = 2 },
	{ "two-level page", TWO_LEVEL, .gva = 0x21, .entry = { 0x2007, 0x9007 }, .code = GOOD,
	  .gpa = 0x9021 },
	{ "PS without CR4.PSE is ignored", TWO_LEVEL, .gva = 0x21, .entry = { 0x2087, 0x9007 },
	  .code = GOOD, .gpa = 0x9021 },
	{ "4 MiB page", TWO_LEVEL, .cr4 = X86_CR4_PSE, .gva = 0x212345, .maxphyaddr = 32,
	  .entry = { 0xc00087 }, .code = GOOD, .gpa = 0xe12345 },
	{ "4 MiB page, PSE-36", TWO_LEVEL, .cr4 = X86_CR4_PSE, .gva = 0x345, .maxphyaddr = 36,
	  .entry = { 0xc1e087 }, .code = GOOD, .gpa = 0xf00c00345 },
	{ "PSE-36 beyond MAXPHYADDR", TWO_LEVEL, .cr4 = X86_CR4_PSE, .maxphyaddr = 36,
	  .entry = { 0xc20087 }, .code = 9 },
	{ "no PSE-36 with 32 bits", TWO_LEVEL, .cr4 = X86_CR4_PSE, .maxphyaddr = 32,
	  .entry = { 0xc02087 }, .code = 9 },
	{ "bit 21 of a 4 MiB page", TWO_LEVEL, .cr4 = X86_CR4_PSE, .maxphyaddr = 52,
	  .entry = { 0xe00087 }, .code = 9 },
	{ "table outside memory", FOUR_LEVEL, .entry = { 0x100000007 }, .access = W, .code = 2 },
};

static void by_hand(const struct hand_case *c)
{
	unsigned int bytes = c->mode == TWO_LEVEL ? 4 : 8;
	struct umbra_walk walk;
	int ret;

	set_mode(c->mode);
	vcpu.state.cr0 |= c->cr0;
	vcpu.state.cr4 |= c->cr4;
	vcpu.state.efer |= c->efer;
	vcpu.state.cpl = c->cpl;
	vcpu.state.rflags_ac = c->ac;
	vcpu.state.pkru = c->pkru;
	vcpu.state.has_gbpages = c->gbpages;
	if (c->maxphyaddr)
		vcpu.state.maxphyaddr = c->maxphyaddr;
	vcpu.pdptrs[0] = 0x1001;
	memset(memory, 0, sizeof(memory));
	for (int i = 0; i < 5; i++)
		memory_set(0x1000 * (i + 1), c->entry[i], bytes);

	ret = umbra_walk(&vcpu, c->gva, c->access, true, &walk);
	if (c->code == GOOD)
		ok(!ret && walk.gpa == c->gpa, "%s", c->name);
	else
		ok(ret && walk.exc.error_code == (u32)c->code, "%s", c->name);
}

static void flags_by_hand(void)
{
	struct umbra_walk walk;

	set_mode(FOUR_LEVEL);
	memset(memory, 0, sizeof(memory));
	for (int i = 1; i < 5; i++)
		memory_set(0x1000 * i, 0x1000 * (i + 1) | 5, 8);
	vcpu.state.cr0 |= X86_CR0_WP;
	ok(umbra_walk(&vcpu, 0, W, true, &walk) && memory_get(0x1000, 8) == 0x2005,
	   "a refused access sets no flag");
	ok(!umbra_walk(&vcpu, 0, 0, false, &walk) && memory_get(0x1000, 8) == 0x2005,
	   "a quiet walk sets no flag");
	ok(!umbra_walk(&vcpu, 0, 0, true, &walk) && memory_get(0x1000, 8) == 0x2025 &&
	   memory_get(0x4000, 8) == 0x5025 && !walk.dirty, "a read sets accessed");
	vcpu.state.cr0 &= ~X86_CR0_WP;
	ok(!umbra_walk(&vcpu, 0, W, true, &walk) && memory_get(0x3000, 8) == 0x4025 &&
	   memory_get(0x4000, 8) == 0x5065 && walk.dirty, "a write sets dirty in the leaf only");
}

static void reserved_by_hand(void)
{
	set_mode(FOUR_LEVEL);
	ok(umbra_gpte_reserved(&vcpu, 0x2007 | NX, 1) && umbra_gpte_reserved(&vcpu, 0x87, 4) &&
	   !umbra_gpte_reserved(&vcpu, 0x87, 1) && umbra_gpte_reserved(&vcpu, 0x2087, 2) &&
	   umbra_gpte_reserved(&vcpu, 0x87, 3), "umbra_gpte_reserved() in long mode");
	vcpu.state.has_gbpages = true;
	ok(!umbra_gpte_reserved(&vcpu, 0x87, 3), "umbra_gpte_reserved() of a 1 GiB page");
	set_mode(PAE);
	ok(umbra_gpte_reserved(&vcpu, 0x2003, 3) && !umbra_gpte_reserved(&vcpu, 0x2019, 3) &&
	   umbra_gpte_reserved(&vcpu, BIT_ULL(40) | 1, 3), "umbra_gpte_reserved() of PDPTEs");
	set_mode(TWO_LEVEL);
	ok(!umbra_gpte_reserved(&vcpu, 0x3fe087, 2), "umbra_gpte_reserved() without CR4.PSE");
	set_mode(UNPAGED);
	ok(!umbra_gpte_reserved(&vcpu, ~0ull, 1), "umbra_gpte_reserved() without paging");
}

static void pdptrs_by_hand(void)
{
	set_mode(PAE);
	memset(memory, 0, sizeof(memory));
	vcpu.state.cr3 = 0x1020 | 0x18;
	memory_set(0x1020, 0x2001, 8);
	memory_set(0x1028, 0xfff8000000000ffeull, 8);
	memory_set(0x1038, 0x3e19, 8);
	ok(!umbra_mmu_load_pdptrs(&vcpu) && vcpu.pdptrs[0] == 0x2001 &&
	   vcpu.pdptrs[3] == 0x3e19, "PDPTEs are loaded from CR3 bits 31:5");
	memory_set(0x1030, 0x2003, 8);
	memory_set(0x1020, 0x7001, 8);
	ok(umbra_mmu_load_pdptrs(&vcpu) == -EINVAL && vcpu.pdptrs[0] == 0x2001,
	   "a reserved bit in a present PDPTE is refused, and nothing loaded");
	vcpu.state.cr3 = 0x80000000;
	ok(umbra_mmu_load_pdptrs(&vcpu) == -EINVAL, "PDPTEs outside memory are refused");
}

static void translate_by_hand(void)
{
	struct umbra_exception exc = {};
	gpa_t gpa = 0;

	set_mode(TWO_LEVEL);
	memset(memory, 0, sizeof(memory));
	memory_set(0x1000, 0x2007, 4);
	memory_set(0x2000, 0x9007, 4);
	ok(!umbra_mmu_translate_quiet(&vcpu, 0x10, W, &gpa, &exc) && gpa == 0x9010 &&
	   memory_get(0x2000, 4) == 0x9007, "umbra_mmu_translate_quiet()");
	ok(!umbra_mmu_translate(&vcpu, 0x10, W, &gpa, &exc) && memory_get(0x2000, 4) == 0x9067,
	   "umbra_mmu_translate()");
	ok(umbra_mmu_translate(&vcpu, 0x1000, W, &gpa, NULL) == -EFAULT &&
	   umbra_mmu_translate(&vcpu, 0x1000, W, &gpa, &exc) == -EFAULT &&
	   exc.valid && exc.error_code == 2 && exc.cr2 == 0x1000, "a #PF on request");
}

int main(int argc, char **argv)
{
	unsigned long accesses = argc > 1 ? strtoul(argv[1], NULL, 0) : 1200000;

	random_state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

	for (size_t i = 0; i < ARRAY_SIZE(hand_cases); i++)
		by_hand(&hand_cases[i]);
	flags_by_hand();
	reserved_by_hand();
	pdptrs_by_hand();
	translate_by_hand();

	random_mode(UNPAGED, "unpaged", accesses / 100);
	random_mode(TWO_LEVEL, "two-level", accesses / 4);
	random_mode(PAE, "PAE", accesses / 4);
	random_mode(FOUR_LEVEL, "4-level", accesses / 4);
	random_mode(FIVE_LEVEL, "5-level", accesses / 4);
	racing_walks(accesses / 20);
	return tap_done();
}
