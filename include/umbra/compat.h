/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that Umbra builds on. Nothing else in the
 * tree asks for a kernel version.
 */
#ifndef _UMBRA_COMPAT_H
#define _UMBRA_COMPAT_H

#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/syscore_ops.h>
#include <linux/version.h>

/* smp_send_reschedule() is a macro with a tracepoint in later kernels. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#include <trace/events/ipi.h>
#endif
#include <asm/nospec-branch.h>
#include <asm/reboot.h>

/**
 * umbra_follow_pfnmap() - read the host's page-table entry of a PFNMAP address
 * @vma: a VMA with VM_IO or VM_PFNMAP
 * @hva: an address in it
 * @pfn: out: host frame
 * @writable: out: the entry allows writes
 *
 * Context: mmap_lock held for read.
 * Return: 0, or -errno when nothing is mapped there yet.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
static inline int umbra_follow_pfnmap(struct vm_area_struct *vma, unsigned long hva,
				      unsigned long *pfn, bool *writable)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = hva };
	int ret = follow_pfnmap_start(&args);

	if (ret)
		return ret;
	*pfn = args.pfn;
	*writable = args.writable;
	follow_pfnmap_end(&args);
	return 0;
}
#else
static inline int umbra_follow_pfnmap(struct vm_area_struct *vma, unsigned long hva,
				      unsigned long *pfn, bool *writable)
{
	spinlock_t *lock;
	pte_t *pte;
	int ret = follow_pte(vma->vm_mm, hva, &pte, &lock);

	if (ret)
		return ret;
	/* For sparse: follow_pte() does not say that it takes the lock. */
	__acquire(lock);
	*pfn = pte_pfn(*pte);
	*writable = pte_write(*pte);
	pte_unmap_unlock(pte, lock);
	return 0;
}
#endif

/*
 * Callbacks of the last CPU around suspend. Debian's 6.12 has the newer
 * interface, in which the callbacks take a pointer.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define UMBRA_SYSCORE_OPS(name, suspend_fn, resume_fn)				\
	static int name##_suspend(void *data) { return suspend_fn(); }		\
	static void name##_resume(void *data) { resume_fn(); }			\
	static const struct syscore_ops name##_ops = {				\
		.suspend = name##_suspend,					\
		.resume = name##_resume,					\
	};									\
	static struct syscore name = { .ops = &name##_ops }
#define umbra_register_syscore		register_syscore
#define umbra_unregister_syscore	unregister_syscore
#else
#define UMBRA_SYSCORE_OPS(name, suspend_fn, resume_fn)				\
	static struct syscore_ops name = {					\
		.suspend = suspend_fn,						\
		.resume = resume_fn,						\
	}
#define umbra_register_syscore		register_syscore_ops
#define umbra_unregister_syscore	unregister_syscore_ops
#endif

/*
 * A crash takes CPUs out of VMX operation: 6.1 does it by itself for any CPU
 * with CR4.VMXE set, 6.12 calls whoever has registered.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define umbra_register_crash(fn)	cpu_emergency_register_virt_callback(fn)
#define umbra_unregister_crash(fn)	cpu_emergency_unregister_virt_callback(fn)
#else
#define umbra_register_crash(fn)	((void)(fn))
#define umbra_unregister_crash(fn)	((void)(fn))
#endif

/* Later kernels rename the byte for themselves, as user space may change it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define umbra_immediate_exit(run)	READ_ONCE((run)->immediate_exit__unsafe)
#else
#define umbra_immediate_exit(run)	READ_ONCE((run)->immediate_exit)
#endif

/*
 * User space must not follow branches that a guest has trained (VMSCAPE). Kernels that
 * know of it flush the predictors on their way there when told that a guest was here.
 * Preemption is off.
 */
static inline void umbra_guest_was_here(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
}

/* Nobody signals more than one at a time: later kernels cannot. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define umbra_eventfd_signal(ctx)	eventfd_signal(ctx)
#else
#define umbra_eventfd_signal(ctx)	eventfd_signal(ctx, 1)
#endif

/**
 * umbra_shrinker_register() - have the kernel ask for memory back
 * @name: in debugfs
 * @count: as shrinker.count_objects
 * @scan: as shrinker.scan_objects
 *
 * Return: what umbra_shrinker_unregister() takes; NULL without memory. There may be
 * one at a time.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static inline struct shrinker *
umbra_shrinker_register(const char *name,
			unsigned long (*count)(struct shrinker *s, struct shrink_control *sc),
			unsigned long (*scan)(struct shrinker *s, struct shrink_control *sc))
{
	struct shrinker *shrinker = shrinker_alloc(0, "%s", name);

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return shrinker;
}

#define umbra_shrinker_unregister(shrinker)	shrinker_free(shrinker)
#else
static inline struct shrinker *
umbra_shrinker_register(const char *name,
			unsigned long (*count)(struct shrinker *s, struct shrink_control *sc),
			unsigned long (*scan)(struct shrinker *s, struct shrink_control *sc))
{
	static struct shrinker shrinker;

	shrinker = (struct shrinker) {
		.count_objects = count, .scan_objects = scan, .seeks = DEFAULT_SEEKS,
	};
	return register_shrinker(&shrinker, "%s", name) ? NULL : &shrinker;
}

#define umbra_shrinker_unregister(shrinker)	unregister_shrinker(shrinker)
#endif

#endif /* _UMBRA_COMPAT_H */
