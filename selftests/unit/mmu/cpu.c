// SPDX-License-Identifier: GPL-2.0
/*
 * A CPU that forgets nothing on its own: it walks the tables that mmu/ made, in
 * simulated host-physical memory, and keeps what it found, translations and
 * links to tables, until mmu/ or the architecture tells it to drop them.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/atomic.h>
#include <linux/mm.h>
#include <stdio.h>
#include <string.h>
#include "../../../mmu/spte.h"
#include "machine.h"
#include "shim.h"

struct cpu cpus[NR_SIM_CPUS];

/* ---- forgetting ---- */

static void flush_linear(struct cpu *cpu)
{
	memset(cpu->tlb, 0, sizeof(cpu->tlb));
	memset(cpu->psc, 0, sizeof(cpu->psc));
}

static void flush_everything(struct cpu *cpu)
{
	flush_linear(cpu);
	memset(cpu->ept_tlb, 0, sizeof(cpu->ept_tlb));
	memset(cpu->ept_psc, 0, sizeof(cpu->ept_psc));
}

/* INVVPID of one address: all paging-structure caches go with it. */
void cpu_flush_gva(struct cpu *cpu, unsigned int gva_nr)
{
	cpu->tlb[gva_nr].valid = false;
	memset(cpu->psc, 0, sizeof(cpu->psc));
}

static unsigned int linear_way(unsigned int gva_nr, int level)
{
	return gva_nr >> (2 * level);
}

static unsigned int ept_way(u64 gfn, int level)
{
	return (gfn >> (9 * level)) % PSC_WAYS;
}

/* A #PF forgets what would translate its address, and no more. */
static void forget_linear(struct cpu *cpu, unsigned int gva_nr)
{
	cpu->tlb[gva_nr].valid = false;
	for (int level = 1; level < 5; level++)
		cpu->psc[level][linear_way(gva_nr, level)].valid = false;
}

/* So does an EPT violation. */
static void forget_physical(struct cpu *cpu, u64 gfn)
{
	cpu->ept_tlb[gfn % EPT_TLB].valid = false;
	for (int level = 1; level < 4; level++)
		cpu->ept_psc[level][ept_way(gfn, level)].valid = false;
}

void cpu_new_root(struct cpu *cpu)
{
	if (cpu->nr_roots == NR_ROOTS)
		violation("too many roots");
	cpu->root[cpu->nr_roots].cr3 = cpu->v.state.cr3;
	memcpy(cpu->root[cpu->nr_roots].pdpte, cpu->v.pdptrs, sizeof(cpu->v.pdptrs));
	cpu->root[cpu->nr_roots++].since = ++now;
}

void cpu_guest_flushed_all(struct cpu *cpu)
{
	cpu->nr_roots = 0;
	cpu_new_root(cpu);
	cpu->flushed_all = now;
}

/* ---- entry and exit: what include/umbra/mmu.h asks of vmx/ ---- */

static void load_pdptes(struct cpu *cpu)
{
	const struct umbra_mmu_vcpu *v = &cpu->v;

	if (v->family != UMBRA_FAMILY_SHADOW || v->state.efer & EFER_LMA)
		return;
	if (v->root >> 32 || !shim_page_live(v->root))
		violation("root %llx for PAE paging", v->root);
	memcpy(cpu->pdpte, __va(v->root), sizeof(cpu->pdpte));
	for (int i = 0; i < 4; i++)
		if (cpu->pdpte[i] & 1 &&
		    cpu->pdpte[i] & (GENMASK_ULL(63, 46) | GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1)))
			violation("VM entry refuses PDPTE %llx", cpu->pdpte[i]);
}

int cpu_enter(struct cpu *cpu)
{
	struct umbra_mmu_vcpu *v = &cpu->v;
	u64 gen;

	if (cpu->in_guest)
		return 0;
	if (cpu->reload || v->root == INVALID_PAGE) {
		int idx = srcu_read_lock(&v->mmu->srcu);
		int ret;

		cpu->reload = false;
		ret = umbra_mmu_load(v);
		srcu_read_unlock(&v->mmu->srcu, idx);
		if (ret) {
			cpu->reload = true;
			return ret;
		}
		WARN_ON(v->root == INVALID_PAGE);
	}
	cpu->pml_on = machine.logging && v->family == UMBRA_FAMILY_EPT;
	gen = atomic64_read(&v->mmu->tlb_gen);
	if (v->tlb_gen != gen) {
		v->tlb_gen = gen;
		flush_everything(cpu);
	}
	if (v->flush_guest) {
		v->flush_guest = false;
		flush_linear(cpu);
	}
	load_pdptes(cpu);
	cpu->direct = v->direct;
	umbra_mmu_direct_faults(v, &cpu->direct_mask, &cpu->direct_match);
	cpu->in_guest = true;
	return 0;
}

/* What vmx/pml.c does at each exit. */
static void pml_drain(struct cpu *cpu)
{
	umbra_mmu_log_gpas(&cpu->v, cpu->pml, cpu->nr_pml);
	cpu->nr_pml = 0;
}

/* The dirty flag of a leaf is set. The address need not be aligned. */
static void pml_note(struct cpu *cpu, u64 gfn)
{
	if (cpu->nr_pml == NR_PML)
		pml_drain(cpu);
	cpu->pml[cpu->nr_pml++] = gfn << 12 | rnd(4096);
}

bool cpu_has_noted(gfn_t gfn)
{
	for (int i = 0; i < NR_SIM_CPUS; i++)
		for (unsigned int k = 0; k < cpus[i].nr_pml; k++)
			if (cpus[i].pml[k] >> 12 == gfn)
				return true;
	return false;
}

void cpu_exit(struct cpu *cpu)
{
	cpu->in_guest = false;
	pml_drain(cpu);
}

static void kick_all(struct umbra_mmu *mmu)
{
	for (int i = 0; i < NR_SIM_CPUS; i++)
		cpu_exit(&cpus[i]);
}

static void request_reload(struct umbra_mmu_vcpu *v)
{
	container_of(v, struct cpu, v)->reload = true;
}

/* Each CPU looks before it enters. */
static void set_logging(struct umbra_mmu *mmu)
{
	WARN_ON(!sim_pml);
	machine.logging = mmu->nr_logged;
}

const struct umbra_cpu_ops sim_cpu_ops = {
	.kick_all = kick_all,
	.set_logging = set_logging,
	.request_reload = request_reload,
};

struct ref_cpu cpu_reference(const struct cpu *cpu)
{
	const struct umbra_paging_state *s = &cpu->v.state;
	struct ref_cpu ref = {
		.cr0 = s->cr0, .cr3 = s->cr3, .cr4 = s->cr4, .efer = s->efer,
		.pkru = s->pkru, .ac = s->rflags_ac, .cpl = s->cpl, .maxphyaddr = s->maxphyaddr,
		.gbpages = s->has_gbpages,
	};

	memcpy(ref.pdpte, cpu->v.pdptrs, sizeof(ref.pdpte));
	return ref;
}

/* ---- the walks ---- */

static u64 *table_entry(u64 table, unsigned int index)
{
	if (!shim_page_live(table))
		violation("the CPU walks a table that was freed, pa %llx", table);
	return (u64 *)__va(table) + index;
}

static void check_entry(u64 spte)
{
	if (spte & GENMASK_ULL(51, 46))
		violation("an entry has reserved bits set: %llx", spte);
}

/* Reserved bits that entries of shadow pages have on purpose. */
static bool is_absent(u64 spte)
{
	return spte & SPTE_ABSENT || (sim_mmio && umbra_spte_mmio(spte));
}

/* A cached link is used like the entry it came from, mostly. */
static bool psc_use(const struct psc_entry *e, u64 tag, struct tlb_entry *rights, u64 *table)
{
	if (!e->valid || e->tag != tag || chance(30))
		return false;
	rights->w = e->w;
	rights->u = e->u;
	rights->x = e->x;
	*table = e->table;
	return true;
}

static void psc_fill(struct psc_entry *e, u64 tag, const struct tlb_entry *rights, u64 table)
{
	*e = (struct psc_entry) {
		.valid = true, .tag = tag, .table = table,
		.w = rights->w, .u = rights->u, .x = rights->x,
	};
}

enum found { NOTHING, RESERVED, TRANSLATION };

/* CR0.WP counts for keys as for the right to write. */
static bool linear_key_refuses(const struct cpu *cpu, const struct hw_access *a,
			       const struct tlb_entry *e)
{
	const struct umbra_paging_state *s = &cpu->v.state;
	u32 disabled = s->pkru >> 2 * e->key & 3;

	if (!(s->cr4 & X86_CR4_PKE) || !(s->efer & EFER_LMA) || a->fetch || !e->u)
		return false;
	return disabled & 1 || (disabled & 2 && a->write);
}

static u32 linear_code(struct cpu *cpu, const struct hw_access *a, enum found found,
		       const struct tlb_entry *e)
{
	bool key = found == TRANSLATION && linear_key_refuses(cpu, a, e);

	return key * UMBRA_ACC_PK | (found != NOTHING) * UMBRA_ACC_PRESENT |
	       (found == RESERVED) * UMBRA_ACC_RSVD | a->write * UMBRA_ACC_WRITE |
	       a->user * UMBRA_ACC_USER | a->fetch * UMBRA_ACC_FETCH;
}

/* With CR0.WP and EFER.NXE set, and the guest's SMEP and SMAP. */
static bool linear_allowed(struct cpu *cpu, const struct hw_access *a, const struct tlb_entry *e)
{
	const struct umbra_paging_state *s = &cpu->v.state;

	if (a->write && !e->w)
		return false;
	if (a->fetch && !e->x)
		return false;
	if (linear_key_refuses(cpu, a, e))
		return false;
	if (a->user)
		return e->u;
	if (!e->u)
		return true;
	if (a->fetch)
		return !(s->cr4 & X86_CR4_SMEP);
	return !(s->cr4 & X86_CR4_SMAP) || (s->rflags_ac && s->cpl < 3);
}

/* Where a walk begins: the level, 0 when a PDPTE register is not present. */
static int linear_start(const struct cpu *cpu, u64 gva, u64 *table)
{
	u64 pdpte = cpu->pdpte[gva >> 30 & 3];

	if (cpu->v.state.efer & EFER_LMA) {
		*table = cpu->v.root;
		return cpu->v.state.cr4 & X86_CR4_LA57 ? 5 : 4;
	}
	*table = pdpte & SPTE_ADDR;
	return pdpte & PT_PRESENT ? 2 : 0;
}

static enum found linear_walk(struct cpu *cpu, const struct hw_access *a, struct tlb_entry *e,
			      bool *cached)
{
	u64 frame = (a->addr & GENMASK_ULL(56, 0)) >> 12;
	u64 table, spte, *sptep;
	int level, top = linear_start(cpu, a->addr, &table);

	*e = (struct tlb_entry) { .valid = true, .w = true, .u = true, .x = true };
	*cached = false;
	counts.walks++;
	if (!top)
		return NOTHING;
	for (level = 1; level < top; level++) {
		*cached = psc_use(&cpu->psc[level][linear_way(a->gva_nr, level)],
				  frame >> (9 * level), e, &table);
		if (*cached)
			break;
	}
	for (;; level--) {
		sptep = table_entry(table, umbra_table_index(frame, level));
		spte = *sptep;
		if (!(spte & PT_PRESENT))
			return NOTHING;
		if (is_absent(spte))
			return RESERVED;
		check_entry(spte);
		if (top == 2 && spte & GENMASK_ULL(62, 52))
			violation("an entry has bits set that PAE reserves: %llx", spte);
		e->w &= !!(spte & PT_WRITE);
		e->u &= !!(spte & PT_USER);
		e->x &= !(spte & PT_NX);
		table = spte & SPTE_ADDR;
		if (level == 1 || spte & PT_LARGE)
			break;
		*sptep |= PT_ACCESSED;
		psc_fill(&cpu->psc[level - 1][linear_way(a->gva_nr, level - 1)],
			 frame >> (9 * (level - 1)), e, table);
	}
	counts.large += level > 1;
	e->key = (spte & PT_KEY) >> 59;
	counts.keys += linear_key_refuses(cpu, a, e);
	if (level > 1 && e->x && machine.mmu.nx_huge)
		violation("a large shadow leaf can be executed: %llx", spte);
	if (!linear_allowed(cpu, a, e))
		return TRANSLATION;
	*sptep |= PT_ACCESSED | (a->write ? PT_DIRTY : 0);
	e->dirty = *sptep & PT_DIRTY;
	e->pfn = table >> 12 | (frame & (umbra_level_frames(level) - 1));
	return TRANSLATION;
}

bool hw_linear(struct cpu *cpu, const struct hw_access *a, kvm_pfn_t *pfn,
	       struct hw_fault *fault)
{
	struct tlb_entry *e = &cpu->tlb[a->gva_nr];
	struct tlb_entry walked;
	enum found found;

	if (e->valid && e->tag == a->addr >> 12) {
		if (linear_allowed(cpu, a, e) && (!a->write || e->dirty)) {
			counts.hits++;
			*pfn = e->pfn;
			return true;
		}
		/* Some CPUs fault at once, some look at the tables first. */
		if (!linear_allowed(cpu, a, e) && chance(50)) {
			fault->code = linear_code(cpu, a, TRANSLATION, e);
			fault->cached = true;
			forget_linear(cpu, a->gva_nr);
			return false;
		}
	}
	found = linear_walk(cpu, a, &walked, &fault->cached);
	if (found != TRANSLATION || !linear_allowed(cpu, a, &walked)) {
		fault->code = linear_code(cpu, a, found, &walked);
		forget_linear(cpu, a->gva_nr);
		return false;
	}
	walked.tag = a->addr >> 12;
	*e = walked;
	*pfn = e->pfn;
	return true;
}

/* For a report: what the TLB and the shadow tables hold for an address. */
void hw_explain(const struct cpu *cpu, u64 gva, unsigned int gva_nr)
{
	const struct tlb_entry *e = &cpu->tlb[gva_nr];
	u64 table;
	int top = linear_start(cpu, gva, &table);

	printf("# tlb: valid %d w %d u %d x %d dirty %d key %d tag %llx pfn %llx\n", e->valid, e->w,
	       e->u, e->x, e->dirty, e->key, e->tag, e->pfn);
	for (int level = top; level >= 1; level--) {
		u64 *sptep = table_entry(table, umbra_table_index(gva >> 12, level));

		printf("#   level %d, table %llx: %llx\n", level, table, *sptep);
		table = *sptep & SPTE_ADDR;
		if (!(*sptep & PT_PRESENT) || is_absent(*sptep))
			break;
	}
}

static bool ept_allowed(const struct tlb_entry *e, bool write, bool fetch)
{
	return (!write || e->w) && (!fetch || e->x);
}

static enum found ept_walk(struct cpu *cpu, u64 gfn, bool write, bool fetch, struct tlb_entry *e)
{
	u64 table, spte, *sptep;
	int level;

	*e = (struct tlb_entry) { .valid = true, .w = true, .u = true, .x = true };
	table = cpu->v.root;
	counts.walks++;
	for (level = 1; level < 4; level++)
		if (psc_use(&cpu->ept_psc[level][ept_way(gfn, level)], gfn >> (9 * level), e,
			    &table))
			break;
	for (;; level--) {
		sptep = table_entry(table, umbra_table_index(gfn, level));
		spte = *sptep;
		if (!(spte & (EPT_READ | EPT_WRITE | EPT_EXEC)))
			return NOTHING;
		if (sim_mmio && umbra_spte_mmio(spte) && (spte & 7) == (EPT_WRITE | EPT_EXEC))
			return RESERVED;
		check_entry(spte);
		if (!(spte & EPT_READ))
			violation("an EPT entry without read right: %llx", spte);
		e->w &= !!(spte & EPT_WRITE);
		e->x &= !!(spte & EPT_EXEC);
		table = spte & SPTE_ADDR;
		if (level > 1 && spte & EPT_LARGE && machine.mmu.nx_huge && spte & EPT_EXEC)
			violation("a large EPT leaf can be executed: %llx", spte);
		if (level == 1 || spte & EPT_LARGE)
			break;
		psc_fill(&cpu->ept_psc[level - 1][ept_way(gfn, level - 1)],
			 gfn >> (9 * (level - 1)), e, table);
	}
	if (!ept_allowed(e, write, fetch))
		return TRANSLATION;
	if (write && cpu->pml_on && !(*sptep & EPT_DIRTY))
		pml_note(cpu, gfn);
	*sptep |= EPT_ACCESSED | (write ? EPT_DIRTY : 0);
	e->dirty = *sptep & EPT_DIRTY;
	e->pfn = table >> 12 | (gfn & (umbra_level_frames(level) - 1));
	return TRANSLATION;
}

bool hw_physical(struct cpu *cpu, u64 gpa, bool write, bool fetch, kvm_pfn_t *pfn, u32 *code)
{
	u64 gfn = gpa >> 12;
	struct tlb_entry *e = &cpu->ept_tlb[gfn % EPT_TLB];
	struct tlb_entry walked;
	enum found result;

	*code = write * UMBRA_ACC_WRITE | fetch * UMBRA_ACC_FETCH;
	/* More than four levels reach: always a violation. */
	if (gfn >> 36)
		return false;
	if (e->valid && e->tag == gfn) {
		if (ept_allowed(e, write, fetch) && (!write || e->dirty)) {
			counts.hits++;
			*pfn = e->pfn;
			return true;
		}
		if (!ept_allowed(e, write, fetch) && chance(50)) {
			*code |= UMBRA_ACC_PRESENT;
			forget_physical(cpu, gfn);
			return false;
		}
	}
	result = ept_walk(cpu, gfn, write, fetch, &walked);
	/* A misconfiguration: the exit does not tell the access. */
	if (result == RESERVED) {
		*code = UMBRA_ACC_RSVD;
		forget_physical(cpu, gfn);
		return false;
	}
	if (result != TRANSLATION || !ept_allowed(&walked, write, fetch)) {
		*code |= (result == TRANSLATION) * UMBRA_ACC_PRESENT;
		forget_physical(cpu, gfn);
		return false;
	}
	walked.tag = gfn;
	*e = walked;
	*pfn = e->pfn;
	return true;
}

/* ---- audit ---- */

static void audit_tlb(const struct tlb_entry *e, int nr, const char *which)
{
	for (int i = 0; i < nr; i++)
		if (e[i].valid && !host_frame[e[i].pfn - FIRST_PFN].live)
			violation("the %s TLB keeps frame %llu after the host took it away",
				  which, e[i].pfn - FIRST_PFN);
}

static void audit_psc(struct psc_entry psc[5][PSC_WAYS], const char *which)
{
	for (int l = 0; l < 5; l++)
		for (int i = 0; i < PSC_WAYS; i++)
			if (psc[l][i].valid && !shim_page_live(psc[l][i].table))
				violation("the %s paging-structure cache keeps a freed table",
					  which);
}

void cpu_audit(void)
{
	for (int i = 0; i < NR_SIM_CPUS; i++) {
		struct cpu *cpu = &cpus[i];

		if (!cpu->exists)
			continue;
		/* Outside the guest it is enough that entry will flush. */
		if (!cpu->in_guest &&
		    cpu->v.tlb_gen != (u64)atomic64_read(&machine.mmu.tlb_gen))
			continue;
		audit_tlb(cpu->ept_tlb, EPT_TLB, "EPT");
		audit_psc(cpu->ept_psc, "EPT");
		if (!cpu->in_guest && cpu->v.flush_guest)
			continue;
		audit_tlb(cpu->tlb, NR_GVAS, "linear");
		audit_psc(cpu->psc, "linear");
	}
}

void mmu_audit(void)
{
	struct umbra_audit audit;
	int idx = srcu_read_lock(&machine.mmu.srcu);

	/* What is noted is as good as logged. */
	for (int i = 0; i < NR_SIM_CPUS; i++)
		pml_drain(&cpus[i]);
	umbra_mmu_audit(&machine.mmu, true, &audit);
	srcu_read_unlock(&machine.mmu.srcu, idx);
	counts.audits++;
	if (audit.findings)
		violation("the auditor finds %lu things, the first: %s", audit.findings,
			  audit.first);
}
