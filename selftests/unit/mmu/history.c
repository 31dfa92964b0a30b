// SPDX-License-Identifier: GPL-2.0
/*
 * What a CPU may still use after the guest changed its tables.
 *
 * The architecture lets a CPU keep translations and paging-structure entries
 * until the guest invalidates them, also such as it never asked for but has
 * walked ahead. So a translation is legal when it is what the reference walker
 * finds if at each level it may choose among the values that the entry has had
 * since the last invalidation that concerns the address. Entries count only
 * with their accessed flag set, and for a write the leaf only when dirty.
 */
#include <asm/processor-flags.h>
#include <string.h>
#include "machine.h"

#define POOL		200000u
#define NR_WORDS	(RAM_PAGES * 512u)
/* Combinations tried before a translation is let pass as undecided. */
#define MAX_TRIES	20000

/* An older value of an aligned 8-byte word of ram[]. */
struct version {
	u64 until;		/* the time when it was overwritten */
	u64 value;
	u32 older;
};

u64 now = 1;

static struct version pool[POOL];
static u32 pool_used = 1;
static u32 newest[NR_WORDS];

static void word_write(unsigned int word, u64 value)
{
	u64 *p = (u64 *)ram + word;
	struct version *v;

	if (*p == value)
		return;
	if (pool_used == POOL)
		violation("the history is full");
	v = &pool[pool_used];
	v->until = ++now;
	v->value = *p;
	v->older = newest[word];
	newest[word] = pool_used++;
	*p = value;
}

void history_write(unsigned int page, unsigned int offset, const void *data, unsigned int len)
{
	const u8 *from = data;

	while (len) {
		unsigned int word = page * 512 + offset / 8;
		unsigned int n = min_t(unsigned int, len, 8 - offset % 8);
		u64 value = ((u64 *)ram)[word];

		memcpy((u8 *)&value + offset % 8, from, n);
		word_write(word, value);
		offset += n;
		from += n;
		len -= n;
	}
}

void history_forget_page(unsigned int page)
{
	memset(&newest[page * 512], 0, 512 * sizeof(newest[0]));
}

bool history_is_full(void)
{
	return pool_used > POOL - POOL / 4;
}

void history_reset(void)
{
	memset(newest, 0, sizeof(newest));
	pool_used = 1;
}

uint64_t read_now(void *ctx, uint64_t gpa, int bytes)
{
	int page = gfn_to_page(gpa >> 12, false, NULL);
	u64 value = 0;

	if (page >= 0)
		memcpy(&value, &ram[page][gpa & 0xfff], bytes);
	return value;
}

/* ---- the search ---- */

struct search {
	u64 since;
	unsigned int choice[5];		/* which version, at each level */
	unsigned int choices[5];	/* how many there are on this path */
	int level;
};

/* reference_walk() asks for one entry per level; answer with the chosen one. */
static uint64_t read_version(void *ctx, uint64_t gpa, int bytes)
{
	struct search *s = ctx;
	int page = gfn_to_page(gpa >> 12, true, NULL);
	unsigned int n = 1, want;
	int level = s->level++;
	u64 word, value = 0;
	u32 v;

	if (page < 0) {
		s->choices[level] = 1;
		return 0;
	}
	want = s->choice[level];
	word = *((u64 *)ram + page * 512 + (gpa & 0xfff) / 8);
	for (v = newest[page * 512 + (gpa & 0xfff) / 8]; v && pool[v].until > s->since;
	     v = pool[v].older) {
		if (n++ == want)
			word = pool[v].value;
	}
	s->choices[level] = n;
	memcpy(&value, (u8 *)&word + gpa % 8, bytes);
	return value;
}

/* The next combination, deepest level first. */
static bool next_choice(struct search *s)
{
	for (int level = s->level - 1; level >= 0; level--) {
		if (++s->choice[level] < s->choices[level])
			return true;
		s->choice[level] = 0;
	}
	return false;
}

/*
 * What the CPU did: use a page, or -1 and a frame without memory; or raise a
 * fault.
 */
struct outcome {
	int page;
	gfn_t gfn;
	bool fault;
	u32 code;
};

/* An entry that is not present is never cached: it has to be so now. */
static bool refuses(const struct ref_result *r, u32 code, bool last_is_now)
{
	return r->fault && r->error_code == code && (code & 1 || last_is_now);
}

static bool grants(const struct ref_result *r, const struct ref_access *a,
		   const struct outcome *used)
{
	int page = gfn_to_page(r->gpa >> 12, true, NULL);

	if (r->fault || !r->accessed || (a->write && !r->leaf_dirty) || page != used->page)
		return false;
	return page >= 0 || r->gpa >> 12 == used->gfn;
}

static bool search(struct ref_cpu *ref, const struct ref_access *a, u64 since,
		   const struct outcome *outcome, bool only_global)
{
	struct search s = { .since = since };
	unsigned int tries = 0;
	struct ref_result r;

	do {
		s.level = 0;
		reference_walk(ref, a, read_version, &s, &r);
		if (outcome->fault ? refuses(&r, outcome->code, !s.choice[s.level - 1]) :
		    grants(&r, a, outcome) && (!only_global || r.global))
			return true;
		if (++tries == MAX_TRIES) {
			counts.undecided++;
			return true;
		}
	} while (next_choice(&s));
	return false;
}

static bool explains(const struct cpu *cpu, const struct ref_access *a, unsigned int gva_nr,
		     const struct outcome *outcome)
{
	struct ref_cpu ref = cpu_reference(cpu);
	bool pcide = ref.cr4 & X86_CR4_PCIDE;
	unsigned int pcid = pcide ? ref.cr3 & (NR_PCIDS - 1) : 0;
	u64 since = max(cpu->flushed_all, cpu->flushed_gva[gva_nr]);
	u64 since_pcid = max(since, cpu->flushed_pcid[pcid]);

	counts.stale++;
	/* @cpu->root[i] was loaded until the next one was. */
	for (int i = cpu->nr_roots - 1; i >= 0; i--) {
		bool current_root = i == cpu->nr_roots - 1;

		if (!current_root && cpu->root[i + 1].since <= since)
			break;
		ref.cr3 = cpu->root[i].cr3;
		memcpy(ref.pdpte, cpu->root[i].pdpte, sizeof(ref.pdpte));
		if (current_root || (cpu->root[i + 1].since > since_pcid && pcide &&
				     (ref.cr3 & (NR_PCIDS - 1)) == pcid))
			if (search(&ref, a, since_pcid, outcome, false))
				return true;
		if (ref.cr4 & X86_CR4_PGE && search(&ref, a, since, outcome, true))
			return true;
	}
	return false;
}

static bool allows(const struct cpu *cpu, const struct ref_access *a, unsigned int gva_nr,
		   const struct outcome *outcome)
{
	struct ref_cpu ref = cpu_reference(cpu);
	struct ref_result r;

	/* By far the commonest: what the tables say now. */
	reference_walk(&ref, a, read_now, NULL, &r);
	return grants(&r, a, outcome) || explains(cpu, a, gva_nr, outcome);
}

bool history_allows(const struct cpu *cpu, const struct ref_access *a, unsigned int gva_nr,
		    unsigned int page)
{
	const struct outcome outcome = { .page = page };

	return allows(cpu, a, gva_nr, &outcome);
}

bool history_allows_mmio(const struct cpu *cpu, const struct ref_access *a, unsigned int gva_nr,
			 gfn_t gfn)
{
	const struct outcome outcome = { .page = -1, .gfn = gfn };

	return allows(cpu, a, gva_nr, &outcome);
}

bool history_refuses(const struct cpu *cpu, const struct ref_access *a, unsigned int gva_nr,
		     u32 code)
{
	const struct outcome outcome = { .fault = true, .code = code };

	return explains(cpu, a, gva_nr, &outcome);
}
