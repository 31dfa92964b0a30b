// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory as the host sees it. A slot's host addresses were checked with
 * access_ok() when it was made; what is mapped there is up to user space, at
 * any moment.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/pagemap.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <umbra/compat.h>
#include <umbra/hostmem.h>
#include <umbra/memslot.h>
#include <umbra/mmu.h>

/* The guest chooses @gpa: no load may go outside its slot, speculatively either. */
static void __user *slot_user(const struct umbra_memslot *slot, gpa_t gpa)
{
	unsigned long i = umbra_gpa_to_gfn(gpa) - slot->base_gfn;

	i = array_index_nospec(i, slot->npages);
	return (void __user *)(slot->hva + (i << PAGE_SHIFT) + offset_in_page(gpa));
}

/* Without mmap_lock and without faulting; try for write rights at once. */
static bool get_fast(hva_t hva, struct umbra_hostpage *out)
{
	if (get_user_pages_fast_only(hva, 1, FOLL_WRITE, &out->page) != 1)
		return false;
	out->pfn = page_to_pfn(out->page);
	out->writable = true;
	return true;
}

static int get_slow(hva_t hva, bool write, struct umbra_hostpage *out)
{
	unsigned int flags = FOLL_HWPOISON | (write ? FOLL_WRITE : 0);
	long nr = get_user_pages_unlocked(hva, 1, &out->page, flags);

	if (nr != 1)
		return nr < 0 ? nr : -EFAULT;
	out->pfn = page_to_pfn(out->page);
	out->writable = write;
	return 0;
}

/* Read the host's entry; fault it in when it is absent or lacks the right to write. */
static int follow_or_fault(struct vm_area_struct *vma, hva_t hva, bool write,
			   struct umbra_hostpage *out, bool *unlocked)
{
	unsigned long pfn;
	int ret;

	if (umbra_follow_pfnmap(vma, hva, &pfn, &out->writable) || (write && !out->writable)) {
		ret = fixup_user_fault(vma->vm_mm, hva, write ? FAULT_FLAG_WRITE : 0, unlocked);
		/* After an unlock @vma may be gone: the caller begins anew. */
		if (ret || *unlocked)
			return ret;
		if (umbra_follow_pfnmap(vma, hva, &pfn, &out->writable) ||
		    (write && !out->writable))
			return -EFAULT;
	}
	out->pfn = pfn;
	out->page = NULL;
	return 0;
}

/* Device memory and the like: no page to hold, the mmu_notifier guards it. */
static int get_pfnmap(hva_t hva, bool write, struct umbra_hostpage *out)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool unlocked;
	int ret;

	mmap_read_lock(mm);
	do {
		unlocked = false;
		ret = -EFAULT;
		vma = vma_lookup(mm, hva);
		if (vma && vma->vm_flags & (VM_IO | VM_PFNMAP) &&
		    vma->vm_flags & (write ? VM_WRITE : VM_READ))
			ret = follow_or_fault(vma, hva, write, out, &unlocked);
	} while (!ret && unlocked);
	mmap_read_unlock(mm);
	return ret;
}

int umbra_hostpage_bring_in(const struct umbra_memslot *slot, gfn_t gfn, bool write,
			    struct umbra_hostpage *out)
{
	hva_t hva = umbra_memslot_hva(slot, gfn);
	bool readonly = slot->flags & KVM_MEM_READONLY;
	struct umbra_hostpage again;
	int ret;

	if (write && readonly)
		return -EFAULT;
	ret = get_slow(hva, write, out);
	if (ret == -EFAULT)
		ret = get_pfnmap(hva, write, out);
	if (ret)
		return ret;
	if (readonly) {
		out->writable = false;
		return 0;
	}
	/* Brought in for reading: a private page may be writable now. */
	if (!out->writable && out->page && get_fast(hva, &again)) {
		umbra_hostpage_put(out, false);
		*out = again;
	}
	return 0;
}

int umbra_hostpage_get(const struct umbra_memslot *slot, gfn_t gfn, bool write,
		       struct umbra_hostpage *out)
{
	if (!(slot->flags & KVM_MEM_READONLY) && get_fast(umbra_memslot_hva(slot, gfn), out))
		return 0;
	return umbra_hostpage_bring_in(slot, gfn, write, out);
}

void umbra_hostpage_put(struct umbra_hostpage *hp, bool dirty)
{
	if (!hp->page)
		return;
	if (!PageReserved(hp->page)) {
		if (dirty)
			SetPageDirty(hp->page);
		mark_page_accessed(hp->page);
	}
	put_page(hp->page);
	hp->page = NULL;
}

unsigned int umbra_hostpages_get_present(const struct umbra_memslot *slot, gfn_t gfn,
					 unsigned int nr, bool write, struct umbra_hostpage *out)
{
	struct page *pages[UMBRA_HOSTPAGES_MAX] __uninitialized;
	hva_t hva = umbra_memslot_hva(slot, gfn);
	int i, got;

	if (WARN_ON_ONCE(nr > UMBRA_HOSTPAGES_MAX))
		return 0;
	got = get_user_pages_fast_only(hva, nr, write ? FOLL_WRITE : 0, pages);
	for (i = 0; i < got; i++) {
		out[i].pfn = page_to_pfn(pages[i]);
		out[i].page = pages[i];
		out[i].writable = write;
	}
	return max(got, 0);
}

void umbra_hostpages_put(struct umbra_hostpage *hp, unsigned int nr, u32 dirty)
{
	unsigned int i;

	BUILD_BUG_ON(BITS_PER_TYPE(dirty) < UMBRA_HOSTPAGES_MAX);
	for (i = 0; i < nr; i++) {
		struct page *page = hp[i].page;

		if ((dirty & BIT(i)) && !PageDirty(page) && !PageReserved(page))
			SetPageDirty(page);
		put_page(page);
		hp[i].page = NULL;
	}
}

/* How much of an access at @gpa lies in its page. */
static unsigned int chunk(gpa_t gpa, unsigned int len)
{
	return min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gpa));
}

/* A page-table entry, which the guest may be writing, is read in one access. */
static int load_user(void *data, const void __user *uaddr, unsigned int len)
{
	if (len == sizeof(u64))
		return __get_user(*(u64 *)data, (const u64 __user *)uaddr);
	if (len == sizeof(u32))
		return __get_user(*(u32 *)data, (const u32 __user *)uaddr);
	if (len == sizeof(u16))
		return __get_user(*(u16 *)data, (const u16 __user *)uaddr);
	/* Code, mostly: two loads that overlap cost less than a copy. */
	if (len > sizeof(u64) && len <= 2 * sizeof(u64)) {
		unsigned int rest = len - sizeof(u64);
		u64 first, last;

		if (__get_user(first, (const u64 __user *)uaddr) ||
		    __get_user(last, (const u64 __user *)(uaddr + rest)))
			return -EFAULT;
		memcpy(data, &first, sizeof(first));
		memcpy(data + rest, &last, sizeof(last));
		return 0;
	}
	return __copy_from_user(data, uaddr, len) ? -EFAULT : 0;
}

int umbra_guest_read(struct umbra_mmu *mmu, gpa_t gpa, void *data, unsigned int len)
{
	while (len) {
		struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, umbra_gpa_to_gfn(gpa));
		unsigned int n = chunk(gpa, len);

		if (!slot || load_user(data, slot_user(slot, gpa), n))
			return -EFAULT;
		gpa += n;
		data += n;
		len -= n;
	}
	return 0;
}

hva_t umbra_guest_hva(struct umbra_mmu *mmu, gpa_t gpa)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, umbra_gpa_to_gfn(gpa));

	return slot ? (hva_t)slot_user(slot, gpa) : 0;
}

int umbra_hva_read64(hva_t hva, u64 *value)
{
	return __get_user(*value, (const u64 __user *)hva);
}

int umbra_guest_read_atomic(struct umbra_mmu *mmu, gpa_t gpa, void *data, unsigned int len)
{
	int ret;

	pagefault_disable();
	ret = umbra_guest_read(mmu, gpa, data, len);
	pagefault_enable();
	return ret;
}

/* Likewise written: what the CPU does in one access, others must not see in parts. */
static int store_user(void __user *uaddr, const void *data, unsigned int len)
{
	switch (len) {
	case 1:
		return __put_user(*(const u8 *)data, (u8 __user *)uaddr);
	case 2:
		return __put_user(*(const u16 *)data, (u16 __user *)uaddr);
	case 4:
		return __put_user(*(const u32 *)data, (u32 __user *)uaddr);
	case 8:
		return __put_user(*(const u64 *)data, (u64 __user *)uaddr);
	default:
		return __copy_to_user(uaddr, data, len) ? -EFAULT : 0;
	}
}

static struct umbra_memslot *writable_slot(struct umbra_mmu *mmu, gpa_t gpa)
{
	struct umbra_memslot *slot = umbra_gfn_to_slot(mmu, umbra_gpa_to_gfn(gpa));

	return slot && !(slot->flags & KVM_MEM_READONLY) ? slot : NULL;
}

static void log_write(struct umbra_mmu_vcpu *vcpu, const struct umbra_memslot *slot, gpa_t gpa)
{
	if (!umbra_memslot_logged(slot))
		return;
	/* A bit that is found set may be taken at once: then it stands for this write, too. */
	smp_mb();
	umbra_mark_dirty(vcpu, slot, umbra_gpa_to_gfn(gpa));
}

int umbra_guest_write(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
		      unsigned int len)
{
	while (len) {
		struct umbra_memslot *slot = writable_slot(vcpu->mmu, gpa);
		unsigned int n = chunk(gpa, len);
		int ret;

		if (!slot)
			return -EFAULT;
		ret = store_user(slot_user(slot, gpa), data, n);
		/* What failed half way has written, too. */
		log_write(vcpu, slot, gpa);
		if (ret)
			return -EFAULT;
		gpa += n;
		data += n;
		len -= n;
	}
	return 0;
}

int umbra_guest_write_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const void *data,
			     unsigned int len)
{
	int ret;

	pagefault_disable();
	ret = umbra_guest_write(vcpu, gpa, data, len);
	pagefault_enable();
	return ret;
}

/* Return: 0, 1 when memory held something else, which is then in @old; -EFAULT. */
static int cmpxchg_user(void __user *uaddr, u64 *old, u64 new, unsigned int len)
{
	switch (len) {
	case 1:
		return __try_cmpxchg_user((u8 __user *)uaddr, (u8 *)old, (u8)new, fault1);
	case 2:
		return __try_cmpxchg_user((u16 __user *)uaddr, (u16 *)old, (u16)new, fault2);
	case 4:
		return __try_cmpxchg_user((u32 __user *)uaddr, (u32 *)old, (u32)new, fault4);
	case 8:
		return __try_cmpxchg_user((u64 __user *)uaddr, old, new, fault8);
	default:
		return -EFAULT;
	}
}

int umbra_guest_cmpxchg(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
			unsigned int len)
{
	struct umbra_memslot *slot = writable_slot(vcpu->mmu, gpa);
	int ret;

	if (!slot || gpa & (len - 1))
		return -EFAULT;
	ret = cmpxchg_user(slot_user(slot, gpa), old, new, len);
	if (ret < 0)
		return ret;
	if (ret)
		return -EAGAIN;
	log_write(vcpu, slot, gpa);
	return 0;
}

int umbra_guest_cmpxchg_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, u64 *old, u64 new,
			       unsigned int len)
{
	int ret;

	pagefault_disable();
	ret = umbra_guest_cmpxchg(vcpu, gpa, old, new, len);
	pagefault_enable();
	return ret;
}

struct pair {
	u64 word[2];
};

/* Return: 0, 1 when memory held something else, -EFAULT. */
static int cmpxchg16_user(void __user *uaddr, const u64 old[2], const u64 new[2])
{
	struct pair __user *words = uaddr;
	u64 low = old[0], high = old[1];
	int error = 0;
	bool same;

	if (!boot_cpu_has(X86_FEATURE_CX16) || !user_access_begin(words, sizeof(*words)))
		return -EFAULT;
	asm volatile("1:	lock; cmpxchg16b %[words]\n"
		     "	setz %[same]\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %[error])
		     : [words] "+m" (*words), [same] "=q" (same), [error] "+r" (error),
		       "+a" (low), "+d" (high)
		     : "b" (new[0]), "c" (new[1])
		     : "memory", "cc");
	user_access_end();
	return error ? error : !same;
}

int umbra_guest_cmpxchg16_atomic(struct umbra_mmu_vcpu *vcpu, gpa_t gpa, const u64 old[2],
				 const u64 new[2])
{
	struct umbra_memslot *slot = writable_slot(vcpu->mmu, gpa);
	int ret;

	if (!slot || gpa % sizeof(struct pair))
		return -EFAULT;
	pagefault_disable();
	ret = cmpxchg16_user(slot_user(slot, gpa), old, new);
	pagefault_enable();
	if (ret)
		return ret < 0 ? ret : -EAGAIN;
	log_write(vcpu, slot, gpa);
	return 0;
}
