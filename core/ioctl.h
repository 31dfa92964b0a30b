/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One row per ioctl. The dispatcher checks the caller, copies the argument,
 * takes the locks that the row names, in the order of the UMBRA_LOCK_ bits
 * below, and undoes all of it; handlers do neither.
 */
#ifndef _UMBRA_CORE_IOCTL_H
#define _UMBRA_CORE_IOCTL_H

#include <linux/bits.h>
#include <linux/fs.h>
#include <linux/types.h>

struct kvm_enable_cap;
struct umbra_memslot;
struct umbra_vcpu;
struct umbra_vm;

#define UMBRA_LOCK_VM		BIT(0)	/* vm->lock */
#define UMBRA_LOCK_VCPU		BIT(1)	/* vcpu->mutex, killable */
#define UMBRA_LOCK_SLOTS	BIT(2)	/* vm->slots_lock */
#define UMBRA_LOCK_SRCU		BIT(3)	/* mmu.srcu, for read */
#define UMBRA_LOCK_LOADED	BIT(4)	/* umbra_vcpu_load() */
#define UMBRA_ARG_RAW		BIT(5)	/* the handler reads the argument itself */
#define UMBRA_ARG_ZERO		BIT(6)	/* -EINVAL unless the argument is 0 */
#define UMBRA_OUT_E2BIG		BIT(7)	/* copy out with -E2BIG too: a count */

/**
 * struct umbra_call - one ioctl on its way
 * @vm: NULL on the system fd
 * @vcpu: NULL but on a vCPU fd
 * @arg: the argument as passed
 * @data: kernel copy of what @arg points to, _IOC_SIZE() bytes
 */
struct umbra_call {
	struct umbra_vm *vm;
	struct umbra_vcpu *vcpu;
	unsigned long arg;
	void *data;
};

/* The argument as a pointer, for what follows the fixed part. */
static inline void __user *umbra_call_user(const struct umbra_call *call)
{
	return (void __user *)call->arg;
}

extern const struct file_operations umbra_system_fops;
extern const struct file_operations umbra_vm_fops;
extern const struct file_operations umbra_vcpu_fops;

/* caps.c */
long umbra_check_extension(struct umbra_call *call);
long umbra_vm_enable_cap(struct umbra_call *call);
long umbra_vcpu_enable_cap(struct umbra_call *call);

/* options.c */
long umbra_vm_set_option(struct umbra_vm *vm, const struct kvm_enable_cap *cap);

/* msr_filter.c */
long umbra_msr_filter_set(struct umbra_call *call);
void umbra_msr_filter_destroy(struct umbra_vm *vm);

/* vapic.c */
long umbra_vapic_set_addr(struct umbra_call *call);
long umbra_vapic_set_reporting(struct umbra_call *call);

/* vm.c */
long umbra_vm_create(struct umbra_call *call);
long umbra_vm_set_tss_addr(struct umbra_call *call);
long umbra_vm_set_identity_map_addr(struct umbra_call *call);
int umbra_vm_release(struct inode *inode, struct file *file);

/* vcpu.c */
long umbra_vcpu_create(struct umbra_call *call);
void umbra_vcpu_destroy(struct umbra_vcpu *vcpu);
int umbra_vcpu_release(struct inode *inode, struct file *file);
int umbra_vcpu_mmap(struct file *file, struct vm_area_struct *vma);

/* coalesced.c */
int umbra_coalesced_init(struct umbra_vm *vm);
void umbra_coalesced_destroy(struct umbra_vm *vm);
long umbra_coalesced_register(struct umbra_call *call);
long umbra_coalesced_unregister(struct umbra_call *call);

/* slots.c */
void umbra_slots_init(struct umbra_vm *vm);
void umbra_slots_destroy(struct umbra_vm *vm);
long umbra_slots_set_region(struct umbra_call *call);

/* shadow_pages.c */
long umbra_shadow_pages_set(struct umbra_call *call);
long umbra_shadow_pages_get(struct umbra_call *call);

/* dirty.c */
#define UMBRA_LOG_FLAGS	(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)
int umbra_dirty_alloc(struct umbra_vm *vm, struct umbra_memslot *slot);
void umbra_dirty_free(struct umbra_memslot *slot);
void umbra_dirty_drop_bitmaps(struct umbra_vm *vm);
void umbra_dirty_start(struct umbra_vm *vm, struct umbra_memslot *slot);
long umbra_dirty_set_manual(struct umbra_vm *vm, const struct kvm_enable_cap *cap);
long umbra_dirty_get_log(struct umbra_call *call);
long umbra_dirty_clear_log(struct umbra_call *call);

/* notifier.c */
int umbra_notifier_register(struct umbra_vm *vm);
void umbra_notifier_unregister(struct umbra_vm *vm);

/* cpuid.c */
long umbra_cpuid_supported(struct umbra_call *call);
long umbra_cpuid_set(struct umbra_call *call);
long umbra_cpuid_get(struct umbra_call *call);

/* msrs.c */
long umbra_msrs_list(struct umbra_call *call);
long umbra_msrs_feature_list(struct umbra_call *call);
long umbra_msrs_get_features(struct umbra_call *call);
long umbra_msrs_get(struct umbra_call *call);
long umbra_msrs_set(struct umbra_call *call);

/* state.c */
long umbra_state_get_regs(struct umbra_call *call);
long umbra_state_set_regs(struct umbra_call *call);
long umbra_state_get_sregs(struct umbra_call *call);
long umbra_state_set_sregs(struct umbra_call *call);
long umbra_state_get_sregs2(struct umbra_call *call);
long umbra_state_set_sregs2(struct umbra_call *call);
long umbra_state_get_mp_state(struct umbra_call *call);
long umbra_state_set_mp_state(struct umbra_call *call);
long umbra_state_get_events(struct umbra_call *call);
long umbra_state_set_events(struct umbra_call *call);
long umbra_state_get_debugregs(struct umbra_call *call);
long umbra_state_set_debugregs(struct umbra_call *call);
long umbra_state_guest_debug(struct umbra_call *call);
long umbra_state_interrupt(struct umbra_call *call);
long umbra_state_nmi(struct umbra_call *call);
long umbra_state_mce_supported(struct umbra_call *call);
long umbra_state_mce_setup(struct umbra_call *call);
long umbra_state_mce_inject(struct umbra_call *call);
long umbra_state_signal_mask(struct umbra_call *call);
long umbra_state_translate(struct umbra_call *call);

/* tsc.c */
long umbra_tsc_get_khz(struct umbra_call *call);
long umbra_tsc_set_khz(struct umbra_call *call);
long umbra_tsc_get_default(struct umbra_call *call);
long umbra_tsc_set_default(struct umbra_call *call);

/* prefault.c */
long umbra_vcpu_prefault(struct umbra_call *call);

/* attr.c */
long umbra_attr_has(struct umbra_call *call);
long umbra_attr_get(struct umbra_call *call);
long umbra_attr_set(struct umbra_call *call);
long umbra_attr_sys_has(struct umbra_call *call);
long umbra_attr_sys_get(struct umbra_call *call);

/* fpu.c */
long umbra_fpu_get(struct umbra_call *call);
long umbra_fpu_set(struct umbra_call *call);
long umbra_fpu_get_xsave(struct umbra_call *call);
long umbra_fpu_set_xsave(struct umbra_call *call);
long umbra_fpu_get_xcrs(struct umbra_call *call);
long umbra_fpu_set_xcrs(struct umbra_call *call);

/* irq.c */
long umbra_irq_create_irqchip(struct umbra_call *call);
long umbra_irq_get_irqchip(struct umbra_call *call);
long umbra_irq_set_irqchip(struct umbra_call *call);
long umbra_irq_set_line(struct umbra_call *call);
long umbra_irq_set_routing(struct umbra_call *call);
long umbra_irq_signal_msi(struct umbra_call *call);
long umbra_irq_set_irqfd(struct umbra_call *call);
long umbra_irq_set_ioeventfd(struct umbra_call *call);
long umbra_irq_create_pit(struct umbra_call *call);
long umbra_irq_create_pit2(struct umbra_call *call);
long umbra_irq_get_pit(struct umbra_call *call);
long umbra_irq_get_pit2(struct umbra_call *call);
long umbra_irq_set_pit(struct umbra_call *call);
long umbra_irq_set_pit2(struct umbra_call *call);
long umbra_irq_reinject(struct umbra_call *call);
long umbra_irq_set_boot_cpu(struct umbra_call *call);
long umbra_irq_get_lapic(struct umbra_call *call);
long umbra_irq_set_lapic(struct umbra_call *call);

/* clock.c */
long umbra_clock_get(struct umbra_call *call);
long umbra_clock_set(struct umbra_call *call);
long umbra_clock_stopped(struct umbra_call *call);

#endif /* _UMBRA_CORE_IOCTL_H */
