// SPDX-License-Identifier: GPL-2.0
/*
 * What one guest CPU does, with the exits that it takes as vmx/ and core/
 * handle them, and the check of every outcome against the reference.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include "machine.h"
#include "shim.h"

#define MAX_EXITS	64	/* of one access */
#define MAX_RETRIES	8	/* in a row, with nobody interfering */

enum progress { AGAIN, DONE };

static bool paging(const struct cpu *cpu)
{
	return cpu->v.state.cr0 & X86_CR0_PG;
}

bool guest_is_pae(const struct cpu *cpu)
{
	return paging(cpu) && cpu->v.state.cr4 & X86_CR4_PAE && !(cpu->v.state.efer & EFER_LMA);
}

enum guest_mode guest_mode(const struct cpu *cpu)
{
	const struct umbra_paging_state *s = &cpu->v.state;

	if (s->efer & EFER_LMA)
		return s->cr4 & X86_CR4_LA57 ? GUEST_MODE_5LEVEL : GUEST_MODE_4LEVEL;
	return s->cr4 & X86_CR4_PAE ? GUEST_MODE_PAE : GUEST_MODE_32BIT;
}

unsigned int guest_gva_nr(const struct cpu *cpu, unsigned int gva_nr)
{
	return guest_is_pae(cpu) ? gva_nr % 64 : gva_nr;
}

u64 gva_of(const struct cpu *cpu, unsigned int gva_nr)
{
	static const u64 index_64[] = { 0, 1, 2, 511 };
	/* On both sides of where one shadow page ends and the next begins. */
	static const u64 index_32[] = {
		0, 1, 2, 3, 4, 255, 256, 511, 512, 513, 767, 768, 1020, 1021, 1022, 1023,
	};
	u64 gva = 0;

	if (!(cpu->v.state.cr4 & X86_CR4_PAE))
		return index_32[gva_nr & 15] << 12 | index_32[gva_nr >> 4 & 15] << 22;
	for (int level = 1; level <= 2; level++)
		gva |= index_64[gva_nr >> 2 * (level - 1) & 3] << (12 + 9 * (level - 1));
	if (!(cpu->v.state.efer & EFER_LMA))
		return gva | (u64)(gva_nr >> 4 & 3) << 30;
	for (int level = 3; level <= 4; level++)
		gva |= index_64[gva_nr >> 2 * (level - 1) & 3] << (12 + 9 * (level - 1));
	/* Canonical; with five levels the fifth index is 0 or 511. */
	return (u64)((s64)(gva << 16) >> 16);
}

/* ---- what the reference says ---- */

static struct ref_access ref_access(const struct cpu *cpu, const struct guest_access *a)
{
	return (struct ref_access) {
		.gva = (paging(cpu) ? gva_of(cpu, a->gva_nr) : a->unpaged_gfn << 12) | a->offset,
		.write = a->write, .user = a->user, .fetch = a->fetch,
	};
}

/* Flags cannot be set in a read-only slot: that is a #PF, as mmu/walk.h says. */
static void reference_now(const struct cpu *cpu, const struct ref_access *a,
			  struct ref_result *r)
{
	struct ref_cpu ref = cpu_reference(cpu);

	reference_walk(&ref, a, read_now, NULL, r);
	for (int i = 0; i < r->nr && !r->fault; i++) {
		struct umbra_memslot *slot;

		if (r->entry[i].updated == r->entry[i].value)
			continue;
		gfn_to_page(r->entry[i].gpa >> 12, false, &slot);
		if (!(slot->flags & KVM_MEM_READONLY))
			continue;
		r->fault = true;
		r->error_code = 1 | a->write << 1 | a->user << 2;
		if (a->fetch && (ref.cr4 & X86_CR4_SMEP ||
				 (ref.cr4 & X86_CR4_PAE && ref.efer & EFER_NX)))
			r->error_code |= 1 << 4;
	}
}

bool guest_translates(const struct cpu *cpu, const struct guest_access *a)
{
	struct ref_access ra = ref_access(cpu, a);
	struct ref_result r;

	reference_now(cpu, &ra, &r);
	return !r.fault;
}

bool guest_reaches_table(const struct cpu *cpu, const struct guest_access *a)
{
	struct ref_access ra = ref_access(cpu, a);
	struct umbra_memslot *slot;
	struct ref_result r;

	reference_now(cpu, &ra, &r);
	return !r.fault && gfn_to_page(r.gpa >> 12, false, &slot) >= 0 && slot->track &&
	       slot->track[(r.gpa >> 12) - slot->base_gfn];
}

bool guest_peek(const struct cpu *cpu, const struct guest_access *a, u64 *value)
{
	struct ref_access ra = ref_access(cpu, a);
	struct ref_result r;

	reference_now(cpu, &ra, &r);
	if (r.fault || (r.gpa & 0xfff) + a->len > 4096)
		return false;
	*value = read_now(NULL, r.gpa, a->len);
	return true;
}

/* Until its rights are gone, a page in the snapshot may be written to again. */
static bool is_logged(const struct umbra_memslot *slot, unsigned int index)
{
	unsigned int snapshot = BITS_TO_LONGS(slot->npages) * BITS_PER_LONG;

	return !slot->dirty_bitmap || test_bit(index, slot->dirty_bitmap) ||
	       cpu_has_noted(slot->base_gfn + index) ||
	       (machine.harvesting && test_bit(snapshot + index, slot->dirty_bitmap));
}

/* A write went to ram[page] without an exit: was it allowed to? */
static void check_direct_write(unsigned int page)
{
	for (int id = 0; id <= NR_SLOTS; id++) {
		struct umbra_memslot *slot = id < NR_SLOTS ? machine.slot[id] :
							     machine.mmu.retiring;
		unsigned int first;

		if (!slot)
			continue;
		first = (slot->hva - (hva_t)ram) >> PAGE_SHIFT;
		if (page < first || page - first >= slot->npages)
			continue;
		if (slot->flags & KVM_MEM_READONLY)
			violation("a write to page %u of a read-only slot", page);
		if (slot->track && slot->track[page - first])
			violation("a write to page %u, a tracked guest table", page);
		if (!is_logged(slot, page - first))
			violation("a write to page %u is not in the dirty log", page);
		return;
	}
	violation("a write to page %u, which no slot has", page);
}

static void access_done(const struct guest_access *a, unsigned int page)
{
	if (!a->write)
		return;
	check_direct_write(page);
	history_write(page, a->offset, a->data, a->len);
}

/* ---- results of faults ---- */

static bool is_self_map(const struct ref_result *r)
{
	for (int i = 0; i < r->nr; i++)
		if (r->entry[i].gpa >> 12 == r->gpa >> 12)
			return true;
	return false;
}

/* An entry said so, which may be as old as a translation in a TLB. */
static void check_mmio(struct cpu *cpu, const struct ref_access *ra, unsigned int gva_nr,
		       const struct umbra_fault *fault)
{
	counts.mmio_fast++;
	if (machine.interfered || machine.mmu.retiring)
		return;
	if (gfn_to_page(fault->gpa >> 12, false, NULL) >= 0)
		violation("gpa %llx is memory, not MMIO", fault->gpa);
	if (cpu->v.family == UMBRA_FAMILY_SHADOW &&
	    !history_allows_mmio(cpu, ra, gva_nr, fault->gpa >> 12))
		violation("gva %llx must not go to gpa %llx any more", (u64)ra->gva, fault->gpa);
}

static void check_emulate(struct cpu *cpu, const struct ref_access *ra,
			  const struct umbra_fault *fault)
{
	struct umbra_memslot *slot;
	int page = gfn_to_page(fault->gpa >> 12, false, &slot);
	struct ref_result r;

	/* Tables of a slot that is going are there for some and not for others. */
	if (machine.interfered || machine.mmu.retiring)
		return;
	if (!fault->walk) {
		reference_now(cpu, ra, &r);
		if (r.fault || r.gpa != fault->gpa)
			violation("emulation at gpa %llx, the reference has %llx (fault %d)",
				  fault->gpa, (u64)r.gpa, r.fault);
		if (fault->tracked && cpu->v.family == UMBRA_FAMILY_SHADOW &&
		    fault->self_map != is_self_map(&r))
			violation("gpa %llx: self_map is %d", fault->gpa, fault->self_map);
	}
	if (fault->mmio) {
		bool write = fault->access & UMBRA_ACC_WRITE;

		if (page >= 0 && !(write && slot->flags & KVM_MEM_READONLY))
			violation("gpa %llx is memory, not MMIO", fault->gpa);
		return;
	}
	if (!fault->tracked)
		violation("emulation of gpa %llx for no reason", fault->gpa);
	if (!ra->write && !fault->walk)
		violation("emulation of a read of a guest table");
	if (page < 0 || !slot->track || !slot->track[(fault->gpa >> 12) - slot->base_gfn])
		violation("gpa %llx is not tracked", fault->gpa);
}

static u32 access_bits(const struct ref_access *ra)
{
	return ra->write * UMBRA_ACC_WRITE | ra->user * UMBRA_ACC_USER |
	       ra->fetch * UMBRA_ACC_FETCH;
}

/* The emulator's part: an instruction, or what it comes down to. */
static void emulate_write(struct cpu *cpu, const struct guest_access *a,
			  const struct ref_access *ra)
{
	struct umbra_mmu_vcpu *v = &cpu->v;
	u8 old[8];
	gpa_t gpa;
	int ret;

	if (umbra_mmu_translate(v, ra->gva, access_bits(ra), &gpa, NULL)) {
		if (!machine.interfered && !machine.mmu.retiring)
			violation("the emulator cannot translate gva %llx", (u64)ra->gva);
		return;
	}
	/* The emulator takes the CPL for the access's. */
	if ((v->state.cpl != 3 || a->user) && chance(60))
		ret = emulate_store(cpu, ra->gva, gpa, a->data, a->len);
	else if (chance(40) && !umbra_guest_read(v->mmu, gpa, old, a->len))
		ret = umbra_mmu_guest_cmpxchg(v, gpa, old, a->data, a->len);
	else
		ret = umbra_mmu_guest_write(v, gpa, a->data, a->len);
	if (ret && !machine.interfered)
		violation("an emulated write to gpa %llx fails: %d", gpa, ret);
}

static enum progress emulate(struct cpu *cpu, const struct guest_access *a,
			     const struct ref_access *ra, const struct umbra_fault *fault)
{
	counts.emulated++;
	if (fault->mmio && fault->access & UMBRA_ACC_RSVD)
		check_mmio(cpu, ra, a->gva_nr, fault);
	else
		check_emulate(cpu, ra, fault);
	if (fault->mmio) {
		counts.mmio++;
		return DONE;
	}
	counts.tracked++;
	counts.self_map += fault->self_map;
	if (!fault->self_map && a->unknown) {
		umbra_mmu_unprotect(cpu->v.mmu, fault->gpa >> 12);
		counts.unprotected++;
		return AGAIN;
	}
	emulate_write(cpu, a, ra);
	return DONE;
}

static void check_guest_fault(struct cpu *cpu, const struct ref_access *ra,
			      const struct umbra_fault *fault)
{
	struct ref_result r;

	counts.guest_faults++;
	if (machine.interfered)
		return;
	reference_now(cpu, ra, &r);
	if (!r.fault)
		violation("#PF %x at gva %llx, the reference has none", fault->guest.error_code,
			  (u64)ra->gva);
	if (!fault->guest.valid || fault->guest.vector != 14 ||
	    fault->guest.error_code != r.error_code || fault->guest.cr2 != ra->gva)
		violation("#PF %x at gva %llx, the reference has %x", fault->guest.error_code,
			  (u64)ra->gva, r.error_code);
}

static int call_mmu(struct umbra_mmu_vcpu *v, struct umbra_fault *fault)
{
	if (fault->access & UMBRA_ACC_RSVD)
		return umbra_mmu_mmio_fault(v, fault);
	if (v->family == UMBRA_FAMILY_EPT)
		return umbra_mmu_ept_fault(v, fault);
	return umbra_mmu_shadow_fault(v, fault);
}

/* @before: how many there were before a fault. */
static void count_unsync(const struct cpu *cpu, u64 before)
{
	if (cpu->v.mmu->stat.mmu_unsync > before)
		counts.unsync[guest_mode(cpu)]++;
}

/* @retries counts those in a row. */
static enum progress handle(struct cpu *cpu, const struct guest_access *a,
			    const struct ref_access *ra, struct umbra_fault *fault,
			    unsigned int *retries)
{
	struct umbra_mmu_vcpu *v = &cpu->v;
	u64 unsync = v->mmu->stat.mmu_unsync;
	int result, idx;
	enum progress progress = AGAIN;

	cpu_exit(cpu);
	counts.faults++;
	machine.interfered = false;
	machine.walking = cpu;
	machine.walk = *ra;
	machine.fault_gpa = v->family == UMBRA_FAMILY_EPT ? fault->addr : 0;
	idx = srcu_read_lock(&v->mmu->srcu);
	result = call_mmu(v, fault);
	switch (result) {
	case UMBRA_FAULT_FIXED:
		counts.fixed++;
		break;
	case UMBRA_FAULT_SPURIOUS:
		counts.spurious++;
		break;
	case UMBRA_FAULT_RETRY:
		counts.retry++;
		/* The host holds the page back: give up for now. */
		if (machine.invalidating)
			progress = DONE;
		else if (!machine.interfered && ++*retries > MAX_RETRIES)
			violation("gva %llx keeps retrying", (u64)ra->gva);
		break;
	case UMBRA_FAULT_EMULATE:
		progress = emulate(cpu, a, ra, fault);
		break;
	case UMBRA_FAULT_GUEST:
		check_guest_fault(cpu, ra, fault);
		/* The CPU has forgotten the address; so must the shadow have. */
		if ((fault->access & (UMBRA_ACC_PRESENT | UMBRA_ACC_RSVD)) == UMBRA_ACC_PRESENT)
			cpu->flushed_gva[a->gva_nr] = ++now;
		progress = DONE;
		break;
	case -ENOMEM:
		counts.nomem++;
		if (!shim_fail_percent)
			violation("out of memory");
		shim_fail_percent = 0;
		break;
	default:
		violation("a fault gives %d", result);
	}
	count_unsync(cpu, unsync);
	if (v->leave_shadow && v->family == UMBRA_FAMILY_SHADOW) {
		umbra_mmu_state_changed(v);
		counts.left_shadow++;
	}
	if (result != UMBRA_FAULT_RETRY)
		*retries = 0;
	machine.walking = NULL;
	srcu_read_unlock(&v->mmu->srcu, idx);
	return progress;
}

/* ---- the two families ---- */

static void explain(const struct cpu *cpu, const struct ref_access *ra, unsigned int gva_nr)
{
	const struct umbra_paging_state *s = &cpu->v.state;
	struct ref_result r;

	reference_now(cpu, ra, &r);
	printf("# cr0 %llx cr3 %llx cr4 %llx efer %llx cpl %d ac %d pkru %x\n", s->cr0, s->cr3,
	       s->cr4, s->efer, s->cpl, s->rflags_ac, s->pkru);
	printf("# reference now: fault %d code %x gpa %llx, page %d\n", r.fault, r.error_code,
	       (u64)r.gpa, gfn_to_page(r.gpa >> 12, true, NULL));
	for (int i = 0; i < r.nr; i++)
		printf("#   [%llx] %llx\n", (u64)r.entry[i].gpa, (u64)r.entry[i].value);
	hw_explain(cpu, ra->gva, gva_nr);
}

static bool is_direct(const struct cpu *cpu, u32 code)
{
	return (code & cpu->direct_mask) == cpu->direct_match;
}

/* A #PF that the guest gets without an exit. */
static enum progress check_direct_fault(struct cpu *cpu, const struct guest_access *a,
					const struct ref_access *ra, const struct hw_fault *fault)
{
	struct ref_result r;

	counts.direct++;
	/* Tables of a slot that is going are there for some and not for others. */
	if (machine.mmu.retiring)
		return DONE;
	reference_now(cpu, ra, &r);
	if (r.fault && r.error_code == fault->code)
		return DONE;
	if (!fault->cached || !history_refuses(cpu, ra, a->gva_nr, fault->code)) {
		explain(cpu, ra, a->gva_nr);
		violation("cpu %d: a #PF %x at gva %llx%s that is not the guest's", cpu->nr,
			  fault->code, (u64)ra->gva, fault->cached ? ", cached" : "");
	}
	/* The CPU has forgotten it now: once more. */
	counts.late++;
	return AGAIN;
}

/* Without an exit, if possible. Return: false with the fault. */
static bool run_shadow(struct cpu *cpu, const struct guest_access *a,
		       const struct ref_access *ra, struct hw_fault *fault)
{
	struct hw_access hw = {
		.addr = ra->gva, .gva_nr = a->gva_nr,
		.write = a->write, .user = a->user, .fetch = a->fetch,
	};
	unsigned int page;
	kvm_pfn_t pfn;

	if (!hw_linear(cpu, &hw, &pfn, fault))
		return false;
	page = pfn_to_ram(pfn, a->write);
	if (!history_allows(cpu, ra, a->gva_nr, page)) {
		explain(cpu, ra, a->gva_nr);
		violation("cpu %d: gva %llx%s%s%s must not go to page %u any more",
			  cpu->nr, (u64)ra->gva, a->write ? " W" : "",
			  a->user ? " U" : "", a->fetch ? " X" : "", page);
	}
	access_done(a, page);
	return true;
}

static enum progress access_shadow(struct cpu *cpu, const struct guest_access *a,
				   const struct ref_access *ra, unsigned int *retries)
{
	struct umbra_fault fault = { .addr = ra->gva };
	struct hw_fault hw;

	counts.shadow++;
	counts.mode[guest_mode(cpu)]++;
	if (run_shadow(cpu, a, ra, &hw))
		return DONE;
	if (is_direct(cpu, hw.code))
		return check_direct_fault(cpu, a, ra, &hw);
	fault.access = hw.code;
	return handle(cpu, a, ra, &fault, retries);
}

void guest_access_inside(struct cpu *cpu, const struct guest_access *a)
{
	struct ref_access ra = ref_access(cpu, a);
	struct hw_fault fault;

	if (cpu->busy || !cpu->in_guest || cpu->v.family != UMBRA_FAMILY_SHADOW)
		return;
	counts.inside++;
	if (!run_shadow(cpu, a, &ra, &fault) && is_direct(cpu, fault.code))
		check_direct_fault(cpu, a, &ra, &fault);
}

/* The hardware's own walk of the guest's tables, through EPT. */
struct nested_walk {
	struct cpu *cpu;
	bool failed;
	u64 gpa;
	u32 code;
};

static int nested_access(struct nested_walk *w, u64 gpa, bool write)
{
	kvm_pfn_t pfn;

	/* With A/D flags in EPT, guest tables are accessed as if for writing. */
	write |= sim_ept_ad;
	if (!w->failed && hw_physical(w->cpu, gpa, write, false, &pfn, &w->code))
		return pfn_to_ram(pfn, write);
	if (!w->failed)
		w->gpa = gpa;
	w->failed = true;
	return -1;
}

static uint64_t nested_read(void *ctx, uint64_t gpa, int bytes)
{
	int page = nested_access(ctx, gpa, false);
	u64 value = 0;

	if (page >= 0)
		memcpy(&value, &ram[page][gpa & 0xfff], bytes);
	return value;
}

static void nested_set_flags(struct nested_walk *w, const struct ref_result *r)
{
	for (int i = 0; i < r->nr && !w->failed; i++) {
		int page;

		if (r->entry[i].updated == r->entry[i].value)
			continue;
		page = nested_access(w, r->entry[i].gpa, true);
		if (page < 0)
			return;
		check_direct_write(page);
		history_write(page, r->entry[i].gpa & 0xfff, &r->entry[i].updated,
			      r->entry[i].bytes);
	}
}

static enum progress access_ept(struct cpu *cpu, const struct guest_access *a,
				const struct ref_access *ra, unsigned int *retries)
{
	struct nested_walk walk = { .cpu = cpu };
	struct ref_cpu ref = cpu_reference(cpu);
	struct umbra_fault fault = {};
	struct ref_result r;
	kvm_pfn_t pfn;

	reference_walk(&ref, ra, nested_read, &walk, &r);
	if (!walk.failed && !r.fault)
		nested_set_flags(&walk, &r);
	if (walk.failed) {
		fault.addr = walk.gpa;
		fault.access = walk.code;
		fault.walk = true;
		return handle(cpu, a, ra, &fault, retries);
	}
	if (r.fault)
		return DONE;
	if (hw_physical(cpu, r.gpa, a->write, a->fetch, &pfn, &fault.access)) {
		unsigned int page = pfn_to_ram(pfn, a->write);

		if (gfn_to_page(r.gpa >> 12, true, NULL) != (int)page)
			violation("gpa %llx goes to page %u", (u64)r.gpa, page);
		access_done(a, page);
		return DONE;
	}
	fault.addr = r.gpa;
	return handle(cpu, a, ra, &fault, retries);
}

void guest_access(struct cpu *cpu, const struct guest_access *access)
{
	struct guest_access normal = *access, *a = &normal;
	struct ref_access ra = ref_access(cpu, a);
	unsigned int retries = 0;

	a->gva_nr = guest_gva_nr(cpu, a->gva_nr);

	counts.accesses++;
	cpu->busy = true;
	for (unsigned int exits = 0; ; exits++) {
		enum progress progress;

		if (exits == MAX_EXITS)
			violation("gva %llx exits forever", (u64)ra.gva);
		if (cpu_enter(cpu)) {
			counts.nomem++;
			if (!shim_fail_percent)
				violation("VM entry is out of memory");
			shim_fail_percent = 0;
			continue;
		}
		if (cpu->v.family == UMBRA_FAMILY_SHADOW)
			progress = access_shadow(cpu, a, &ra, &retries);
		else
			progress = access_ept(cpu, a, &ra, &retries);
		if (progress == DONE)
			break;
	}
	cpu->busy = false;
}

/* Translated by the tables as they are, whatever was translated before. */
static void check_fetch(struct cpu *cpu, const struct ref_access *ra)
{
	const struct umbra_recall *recall = &cpu->v.recall;
	struct umbra_exception exc = {};
	struct ref_result r;
	gpa_t gpa = 0;
	int ret;

	machine.interfered = false;
	reference_now(cpu, ra, &r);
	counts.fetches++;
	counts.recalled += recall->nr && recall->gva == (ra->gva & ~0xfffull);
	ret = umbra_mmu_translate_fetch(&cpu->v, ra->gva, access_bits(ra), &gpa, &exc);
	if (machine.interfered || machine.mmu.retiring)
		return;
	if (ret ? !r.fault || exc.error_code != r.error_code : r.fault || gpa != r.gpa)
		violation("a fetch at gva %llx: %d, gpa %llx, #PF %x; the reference: %d, %llx, %x",
			  (u64)ra->gva, ret, gpa, exc.error_code, r.fault, (u64)r.gpa,
			  r.error_code);
	reference_now(cpu, ra, &r);
	for (int i = 0; i < r.nr && !ret; i++)
		if (r.entry[i].updated != r.entry[i].value)
			violation("a fetch at gva %llx leaves entry %llx unmarked", (u64)ra->gva,
				  (u64)r.entry[i].value);
}

void guest_fetch(struct cpu *cpu, const struct guest_access *a)
{
	struct ref_access ra = ref_access(cpu, a);
	int idx = srcu_read_lock(&machine.mmu.srcu);

	cpu_exit(cpu);
	cpu->busy = true;
	check_fetch(cpu, &ra);
	cpu->busy = false;
	srcu_read_unlock(&machine.mmu.srcu, idx);
}

/* ---- registers ---- */

/* WRPKRU does not exit, and counts at once. */
void guest_set_pkru(struct cpu *cpu, u32 pkru)
{
	cpu->v.state.pkru = pkru;
}

static void state_changed(struct cpu *cpu)
{
	cpu_exit(cpu);
	umbra_mmu_state_changed(&cpu->v);
}

/* INVLPG without an exit, if that is how the CPU runs now. */
static bool invlpg_directly(struct cpu *cpu, unsigned int gva_nr)
{
	if (!cpu->in_guest || cpu->v.family != UMBRA_FAMILY_SHADOW ||
	    !(cpu->direct & UMBRA_DIRECT_INVLPG) || cpu->v.state.cr4 & X86_CR4_PCIDE)
		return false;
	cpu->flushed_gva[gva_nr] = ++now;
	cpu_flush_gva(cpu, gva_nr);
	counts.invlpg++;
	return true;
}

void guest_invlpg_inside(struct cpu *cpu, unsigned int gva_nr)
{
	if (!cpu->busy)
		invlpg_directly(cpu, guest_gva_nr(cpu, gva_nr));
}

void guest_invlpg(struct cpu *cpu, unsigned int gva_nr)
{
	gva_nr = guest_gva_nr(cpu, gva_nr);
	if (!cpu_enter(cpu) && invlpg_directly(cpu, gva_nr))
		return;
	cpu->flushed_gva[gva_nr] = ++now;
	if (cpu->v.family == UMBRA_FAMILY_SHADOW) {
		int idx = srcu_read_lock(&machine.mmu.srcu);

		cpu_exit(cpu);
		cpu->busy = true;
		umbra_mmu_invlpg(&cpu->v, gva_of(cpu, gva_nr));
		cpu->busy = false;
		srcu_read_unlock(&machine.mmu.srcu, idx);
	}
	cpu_flush_gva(cpu, gva_nr);
}

static int load_pdptrs(struct cpu *cpu)
{
	int idx = srcu_read_lock(&machine.mmu.srcu);
	bool busy = cpu->busy;
	int ret;

	cpu->busy = true;
	ret = umbra_mmu_load_pdptrs(&cpu->v);
	cpu->busy = busy;
	srcu_read_unlock(&machine.mmu.srcu, idx);
	return ret;
}

void guest_set_cr3(struct cpu *cpu, u64 cr3, bool noflush)
{
	struct umbra_paging_state *s = &cpu->v.state;
	bool pcide = s->cr4 & X86_CR4_PCIDE;
	u64 old = s->cr3;
	int idx;

	cpu->busy = true;
	cpu_exit(cpu);
	s->cr3 = cr3;
	if (guest_is_pae(cpu) && load_pdptrs(cpu)) {
		s->cr3 = old;		/* #GP */
		cpu->busy = false;
		return;
	}
	cpu_new_root(cpu);
	noflush &= pcide;
	if (!noflush)
		cpu->flushed_pcid[pcide ? cr3 & (NR_PCIDS - 1) : 0] = ++now;
	idx = srcu_read_lock(&machine.mmu.srcu);
	umbra_mmu_set_cr3(&cpu->v, noflush);
	srcu_read_unlock(&machine.mmu.srcu, idx);
	if (cpu->nr_roots == NR_ROOTS)
		guest_flush_all(cpu);
	cpu->busy = false;
}

void guest_flush_all(struct cpu *cpu)
{
	int idx = srcu_read_lock(&machine.mmu.srcu);

	cpu_exit(cpu);
	umbra_mmu_invalidate_all(&cpu->v);
	srcu_read_unlock(&machine.mmu.srcu, idx);
	cpu_guest_flushed_all(cpu);
}

void guest_toggle(struct cpu *cpu, u64 cr0, u64 cr4, u64 efer)
{
	struct umbra_paging_state *s = &cpu->v.state;
	struct umbra_paging_state old = *s;

	s->cr0 ^= cr0;
	s->cr4 ^= cr4;
	s->efer ^= efer;
	/* PCIDE needs long mode, and PCID 0 when it is set. */
	if (s->cr4 & X86_CR4_PCIDE &&
	    (!(s->efer & EFER_LMA) || (!(old.cr4 & X86_CR4_PCIDE) && s->cr3 & 0xfff))) {
		*s = old;
		return;
	}
	/* These writes load the PDPTEs again. */
	if (guest_is_pae(cpu) && (cr4 || cr0 & X86_CR0_CD)) {
		if (load_pdptrs(cpu)) {
			*s = old;
			return;
		}
		cpu_new_root(cpu);
	}
	if (cr4 & (X86_CR4_PGE | X86_CR4_PSE | X86_CR4_PCIDE))
		cpu_guest_flushed_all(cpu);
	state_changed(cpu);
	if (cpu->nr_roots == NR_ROOTS)
		guest_flush_all(cpu);
}

void guest_paging_off(struct cpu *cpu)
{
	struct umbra_paging_state *s = &cpu->v.state;

	s->cr0 &= ~X86_CR0_PG;
	s->efer &= ~EFER_LMA;
	s->cr4 &= ~X86_CR4_PCIDE;
	cpu_guest_flushed_all(cpu);
	state_changed(cpu);
}

void guest_paging_on(struct cpu *cpu, enum guest_mode mode, u64 cr3, bool legal)
{
	struct umbra_paging_state *s = &cpu->v.state;
	struct umbra_paging_state old = *s;

	s->cr0 |= X86_CR0_PG | X86_CR0_PE;
	s->cr4 &= ~(X86_CR4_PAE | X86_CR4_LA57);
	s->efer &= ~(EFER_LME | EFER_LMA);
	if (mode != GUEST_MODE_32BIT)
		s->cr4 |= X86_CR4_PAE;
	if (mode == GUEST_MODE_5LEVEL)
		s->cr4 |= X86_CR4_LA57;
	if (mode == GUEST_MODE_4LEVEL || mode == GUEST_MODE_5LEVEL)
		s->efer |= EFER_LME | EFER_LMA;
	s->cr3 = cr3;
	s->state_legal = legal;
	if (mode == GUEST_MODE_PAE && load_pdptrs(cpu)) {
		*s = old;
		return;
	}
	cpu_guest_flushed_all(cpu);
	state_changed(cpu);
}

void guest_set_legal(struct cpu *cpu, bool legal)
{
	cpu->v.state.state_legal = legal;
	state_changed(cpu);
}
