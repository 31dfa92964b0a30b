// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory for steps, through a few translations that are kept while they go on.
 *
 * They are to the guest what a TLB is: the guest's own invalidations end them, and so
 * does its next entry. Another CPU's change that is to be seen here sooner is followed
 * by an interrupt, which the vCPU takes in the guest.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <umbra/hostmem.h>
#include <umbra/memslot.h>

#include "ahead.h"

/* The largest page: INVLPG ends the translation of all of it. */
#define REGION_SHIFT	30

static struct vmx_ahead *to_ahead(struct umbra_stepper *s)
{
	return container_of(s, struct vmx_ahead, s);
}

/* Fill in what the guest's tables and the slots say of @gva. */
static bool translate(struct vmx_ahead *a, struct ahead_page *page, u64 gva, u32 access)
{
	struct umbra_mmu_vcpu *mv = &a->vmx->vcpu.mmu;
	bool write = access & UMBRA_ACC_WRITE;
	struct umbra_memslot *slot;
	gpa_t gpa;
	int r;

	page->tag = 0;
	if (vmx_noncanonical(gva))
		return false;
	if (access & UMBRA_ACC_FETCH)
		r = umbra_mmu_translate_fetch(mv, gva, access, &gpa, NULL);
	else
		r = umbra_mmu_translate(mv, gva, access, &gpa, NULL);
	if (r)
		return false;
	gpa &= PAGE_MASK;
	slot = umbra_gfn_to_slot(mv->mmu, umbra_gpa_to_gfn(gpa));
	if (!slot || (write && (slot->flags & KVM_MEM_READONLY)))
		return false;
	page->hva = umbra_guest_hva(mv->mmu, gpa);
	page->gpa = gpa;
	page->tag = (gva & PAGE_MASK) | AHEAD_VALID | (write ? AHEAD_WRITE : 0);
	return true;
}

/* The page of an operand, or NULL when it is none for steps. */
static struct ahead_page *find(struct vmx_ahead *a, u64 gva, unsigned int size, bool write)
{
	struct ahead_page *page = &a->page[(gva >> PAGE_SHIFT) & (AHEAD_PAGES - 1)];
	u64 tag = (gva & PAGE_MASK) | AHEAD_VALID;

	if (offset_in_page(gva) + size > PAGE_SIZE)
		return NULL;
	if (likely(page->tag == (tag | AHEAD_WRITE) || (page->tag == tag && !write)))
		return page;
	return translate(a, page, gva, write ? UMBRA_ACC_WRITE : 0) ? page : NULL;
}

static bool load(struct umbra_stepper *s, u64 gva, unsigned int size, u64 *value)
{
	struct ahead_page *page = find(to_ahead(s), gva, size, false);
	void __user *from;
	u32 word;
	u16 half;
	u8 byte;

	if (!page)
		return false;
	from = (void __user *)(page->hva + offset_in_page(gva));
	switch (size) {
	case 8:
		return !__get_user(*value, (u64 __user *)from);
	case 4:
		if (__get_user(word, (u32 __user *)from))
			return false;
		*value = word;
		return true;
	case 2:
		if (__get_user(half, (u16 __user *)from))
			return false;
		*value = half;
		return true;
	default:
		if (__get_user(byte, (u8 __user *)from))
			return false;
		*value = byte;
		return true;
	}
}

static void note_write(struct vmx_ahead *a, const struct ahead_page *page, bool tracked)
{
	if (unlikely(page->gpa == a->code.gpa))
		a->code_written = true;
	if (tracked)
		vmx_ahead_spared(a);
}

static bool is_tracked(struct vmx_ahead *a, const struct ahead_page *page)
{
	return umbra_mmu_tracked(a->vmx->vcpu.mmu.mmu, umbra_gpa_to_gfn(page->gpa));
}

static bool store(struct umbra_stepper *s, u64 gva, unsigned int size, u64 value)
{
	struct vmx_ahead *a = to_ahead(s);
	struct ahead_page *page = find(a, gva, size, true);
	bool tracked = page && is_tracked(a, page);

	if (!page || umbra_mmu_guest_write(&a->vmx->vcpu.mmu, page->gpa + offset_in_page(gva),
					   &value, size))
		return false;
	note_write(a, page, tracked);
	return true;
}

static bool replace(struct umbra_stepper *s, u64 gva, unsigned int size, u64 old, u64 new)
{
	struct vmx_ahead *a = to_ahead(s);
	struct ahead_page *page = find(a, gva, size, true);
	bool tracked = page && is_tracked(a, page);

	if (!page || umbra_mmu_guest_cmpxchg(&a->vmx->vcpu.mmu, page->gpa + offset_in_page(gva),
					     &old, &new, size))
		return false;
	note_write(a, page, tracked);
	return true;
}

static u64 base(struct umbra_stepper *s, enum umbra_emu_seg seg)
{
	return vmcs_readl(vmcs_seg_base(seg));
}

const struct umbra_step_ops vmx_ahead_ops = {
	.load = load,
	.store = store,
	.replace = replace,
	.base = base,
};

/* Is @piece made of what memory holds? */
static bool is_current(const struct umbra_piece *piece, const u8 __user *from)
{
	unsigned int last = max_t(unsigned int, piece->len, sizeof(u64)) - sizeof(u64), i;
	u64 seen, differ = 0;

	if (!user_read_access_begin(from, UMBRA_PIECE_BYTES))
		return false;
	for (i = 0; i < last; i += sizeof(u64)) {
		unsafe_get_user(seen, (const u64 __user *)(from + i), fault);
		differ |= seen ^ *(const u64 *)(piece->bytes + i);
	}
	unsafe_get_user(seen, (const u64 __user *)(from + last), fault);
	differ |= seen ^ *(const u64 *)(piece->bytes + last);
	user_read_access_end();
	return !differ;
fault:
	user_read_access_end();
	return false;
}

const struct umbra_piece *vmx_ahead_piece(struct vmx_ahead *a)
{
	u64 rip = a->s.rip, hash = rip ^ rip >> 5;
	struct umbra_piece *piece = &a->piece[hash & (AHEAD_PIECES - 1)];
	unsigned int room = min_t(u64, PAGE_SIZE - offset_in_page(rip), UMBRA_PIECE_BYTES);
	u8 bytes[UMBRA_PIECE_BYTES];
	const u8 __user *from;

	if (a->code.tag != ((rip & PAGE_MASK) | AHEAD_VALID) &&
	    !translate(a, &a->code, rip, UMBRA_ACC_FETCH))
		return NULL;
	a->code_written = false;
	from = (const u8 __user *)(a->code.hva + offset_in_page(rip));
	if (piece->nr && piece->rip == rip && is_current(piece, from))
		return piece;
	/* What is compared takes a word at least. */
	if (room < sizeof(u64) || __copy_from_user(bytes, from, room))
		return NULL;
	piece->rip = rip;
	umbra_piece_decode(piece, &a->emu, bytes, room);
	return piece->nr ? piece : NULL;
}

void vmx_ahead_forget(struct vmx_ahead *a, u64 gva)
{
	unsigned int i;

	for (i = 0; i < AHEAD_PAGES; i++)
		if (!((a->page[i].tag ^ gva) >> REGION_SHIFT))
			a->page[i].tag = 0;
	if (!((a->code.tag ^ gva) >> REGION_SHIFT))
		a->code.tag = 0;
}

void vmx_ahead_forget_all(struct vmx_ahead *a)
{
	unsigned int i;

	for (i = 0; i < AHEAD_PAGES; i++)
		a->page[i].tag = 0;
	a->code.tag = 0;
}
