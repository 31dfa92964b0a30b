// SPDX-License-Identifier: GPL-2.0
/* The ioctl tables and their dispatcher. */
#include <linux/kvm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/umbra.h>
#include <umbra/stats.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>
#include "ioctl.h"
#include "ring.h"

/* Arguments up to this many bytes are copied to the stack. */
#define SMALL_ARG	64

struct ioctl_row {
	unsigned int cmd;
	unsigned int flags;
	long (*handler)(struct umbra_call *call);
};

struct ioctl_table {
	const struct ioctl_row *row;
	unsigned int nr;
	int unknown;		/* as KVM answers on this kind of fd */
};

static long sys_api_version(struct umbra_call *call)
{
	return KVM_API_VERSION;
}

static long sys_mmap_size(struct umbra_call *call)
{
	return UMBRA_VCPU_MMAP_PAGES * PAGE_SIZE;
}

static long get_stats_fd(struct umbra_call *call)
{
	return umbra_stats_fd(call->vm, call->vcpu);
}

static long vcpu_run(struct umbra_call *call)
{
	return umbra_vcpu_run(call->vcpu);
}

static const struct ioctl_row system_rows[] = {
	{ KVM_GET_API_VERSION, UMBRA_ARG_ZERO, sys_api_version },
	{ KVM_CREATE_VM, 0, umbra_vm_create },
	{ KVM_CHECK_EXTENSION, 0, umbra_check_extension },
	{ KVM_GET_VCPU_MMAP_SIZE, UMBRA_ARG_ZERO, sys_mmap_size },
	{ KVM_GET_SUPPORTED_CPUID, UMBRA_OUT_E2BIG, umbra_cpuid_supported },
	{ KVM_GET_MSR_INDEX_LIST, UMBRA_OUT_E2BIG, umbra_msrs_list },
	{ KVM_X86_GET_MCE_CAP_SUPPORTED, 0, umbra_state_mce_supported },
	{ KVM_GET_MSR_FEATURE_INDEX_LIST, UMBRA_OUT_E2BIG, umbra_msrs_feature_list },
	{ KVM_GET_MSRS, 0, umbra_msrs_get_features },
	{ KVM_HAS_DEVICE_ATTR, 0, umbra_attr_sys_has },
	{ KVM_GET_DEVICE_ATTR, 0, umbra_attr_sys_get },
};

static const struct ioctl_row vm_rows[] = {
	{ KVM_SET_USER_MEMORY_REGION, UMBRA_LOCK_SLOTS, umbra_slots_set_region },
	{ KVM_GET_DIRTY_LOG, UMBRA_LOCK_SLOTS, umbra_dirty_get_log },
	{ KVM_CLEAR_DIRTY_LOG, UMBRA_LOCK_SLOTS, umbra_dirty_clear_log },
	{ KVM_RESET_DIRTY_RINGS, UMBRA_LOCK_SLOTS, umbra_ring_reset },
	{ KVM_CREATE_VCPU, UMBRA_LOCK_VM | UMBRA_LOCK_SLOTS, umbra_vcpu_create },
	{ KVM_CHECK_EXTENSION, 0, umbra_check_extension },
	{ KVM_ENABLE_CAP, UMBRA_LOCK_VM | UMBRA_LOCK_SLOTS, umbra_vm_enable_cap },
	{ KVM_SET_NR_MMU_PAGES, UMBRA_LOCK_SLOTS, umbra_shadow_pages_set },
	{ KVM_GET_NR_MMU_PAGES, UMBRA_LOCK_SLOTS, umbra_shadow_pages_get },
	{ KVM_SET_TSS_ADDR, 0, umbra_vm_set_tss_addr },
	{ KVM_SET_IDENTITY_MAP_ADDR, UMBRA_LOCK_VM, umbra_vm_set_identity_map_addr },
	{ KVM_IRQ_LINE, 0, umbra_irq_set_line },
	{ KVM_IRQ_LINE_STATUS, 0, umbra_irq_set_line },
	{ KVM_SIGNAL_MSI, 0, umbra_irq_signal_msi },
	{ KVM_CREATE_IRQCHIP, UMBRA_LOCK_VM, umbra_irq_create_irqchip },
	{ KVM_GET_IRQCHIP, UMBRA_LOCK_VM, umbra_irq_get_irqchip },
	{ KVM_SET_IRQCHIP, UMBRA_LOCK_VM | UMBRA_ARG_RAW, umbra_irq_set_irqchip },
	{ KVM_SET_GSI_ROUTING, UMBRA_LOCK_VM, umbra_irq_set_routing },
	{ KVM_IRQFD, UMBRA_LOCK_VM, umbra_irq_set_irqfd },
	{ KVM_REGISTER_COALESCED_MMIO, UMBRA_LOCK_VM, umbra_coalesced_register },
	{ KVM_UNREGISTER_COALESCED_MMIO, UMBRA_LOCK_VM, umbra_coalesced_unregister },
	{ KVM_IOEVENTFD, UMBRA_LOCK_VM, umbra_irq_set_ioeventfd },
	{ KVM_CREATE_PIT, UMBRA_LOCK_VM, umbra_irq_create_pit },
	{ KVM_CREATE_PIT2, UMBRA_LOCK_VM, umbra_irq_create_pit2 },
	{ KVM_GET_PIT, UMBRA_LOCK_VM, umbra_irq_get_pit },
	{ KVM_GET_PIT2, UMBRA_LOCK_VM, umbra_irq_get_pit2 },
	{ KVM_SET_PIT, UMBRA_LOCK_VM | UMBRA_ARG_RAW, umbra_irq_set_pit },
	{ KVM_SET_PIT2, UMBRA_LOCK_VM, umbra_irq_set_pit2 },
	{ KVM_REINJECT_CONTROL, UMBRA_LOCK_VM, umbra_irq_reinject },
	{ KVM_SET_BOOT_CPU_ID, UMBRA_LOCK_VM, umbra_irq_set_boot_cpu },
	{ KVM_GET_CLOCK, UMBRA_LOCK_VM, umbra_clock_get },
	{ KVM_SET_CLOCK, UMBRA_LOCK_VM, umbra_clock_set },
	{ KVM_GET_TSC_KHZ, UMBRA_LOCK_VM, umbra_tsc_get_default },
	{ KVM_SET_TSC_KHZ, UMBRA_LOCK_VM, umbra_tsc_set_default },
	{ KVM_X86_SET_MSR_FILTER, UMBRA_LOCK_VM, umbra_msr_filter_set },
	{ KVM_GET_STATS_FD, 0, get_stats_fd },
};

#define VCPU		UMBRA_LOCK_VCPU
#define VCPU_LOADED	(UMBRA_LOCK_VCPU | UMBRA_LOCK_LOADED)

/* KVM_RUN first: it is the one whose lookup time counts. */
static const struct ioctl_row vcpu_rows[] = {
	{ KVM_RUN, VCPU | UMBRA_ARG_ZERO, vcpu_run },
	{ KVM_GET_REGS, VCPU_LOADED, umbra_state_get_regs },
	{ KVM_SET_REGS, VCPU_LOADED, umbra_state_set_regs },
	{ KVM_GET_SREGS, VCPU_LOADED, umbra_state_get_sregs },
	{ KVM_SET_SREGS, VCPU_LOADED | UMBRA_LOCK_SRCU, umbra_state_set_sregs },
	{ KVM_GET_SREGS2, VCPU_LOADED, umbra_state_get_sregs2 },
	{ KVM_SET_SREGS2, VCPU_LOADED | UMBRA_LOCK_SRCU, umbra_state_set_sregs2 },
	{ KVM_GET_FPU, VCPU, umbra_fpu_get },
	{ KVM_SET_FPU, VCPU, umbra_fpu_set },
	{ KVM_GET_XSAVE, VCPU, umbra_fpu_get_xsave },
	{ KVM_SET_XSAVE, VCPU, umbra_fpu_set_xsave },
	{ KVM_GET_XSAVE2, VCPU, umbra_fpu_get_xsave },
	{ KVM_GET_XCRS, VCPU, umbra_fpu_get_xcrs },
	{ KVM_SET_XCRS, VCPU_LOADED, umbra_fpu_set_xcrs },
	{ KVM_ENABLE_CAP, VCPU, umbra_vcpu_enable_cap },
	{ KVM_HAS_DEVICE_ATTR, VCPU, umbra_attr_has },
	{ KVM_GET_DEVICE_ATTR, VCPU, umbra_attr_get },
	{ KVM_SET_DEVICE_ATTR, VCPU_LOADED, umbra_attr_set },
	{ KVM_GET_MSRS, VCPU_LOADED, umbra_msrs_get },
	{ KVM_SET_MSRS, VCPU_LOADED | UMBRA_LOCK_SRCU, umbra_msrs_set },
	{ KVM_GET_CPUID2, VCPU | UMBRA_OUT_E2BIG, umbra_cpuid_get },
	{ KVM_SET_CPUID2, VCPU_LOADED | UMBRA_LOCK_SRCU, umbra_cpuid_set },
	{ KVM_GET_MP_STATE, VCPU_LOADED, umbra_state_get_mp_state },
	{ KVM_SET_MP_STATE, VCPU, umbra_state_set_mp_state },
	{ KVM_GET_VCPU_EVENTS, VCPU_LOADED, umbra_state_get_events },
	{ KVM_SET_VCPU_EVENTS, VCPU_LOADED, umbra_state_set_events },
	{ KVM_GET_DEBUGREGS, VCPU_LOADED, umbra_state_get_debugregs },
	{ KVM_SET_DEBUGREGS, VCPU_LOADED, umbra_state_set_debugregs },
	{ KVM_SET_GUEST_DEBUG, VCPU_LOADED, umbra_state_guest_debug },
	{ KVM_X86_SETUP_MCE, VCPU_LOADED, umbra_state_mce_setup },
	{ KVM_X86_SET_MCE, VCPU_LOADED, umbra_state_mce_inject },
	{ KVM_SET_VAPIC_ADDR, VCPU | UMBRA_LOCK_SRCU, umbra_vapic_set_addr },
	{ KVM_TPR_ACCESS_REPORTING, VCPU, umbra_vapic_set_reporting },
	{ KVM_KVMCLOCK_CTRL, VCPU, umbra_clock_stopped },
	{ KVM_INTERRUPT, VCPU_LOADED, umbra_state_interrupt },
	{ KVM_NMI, VCPU_LOADED, umbra_state_nmi },
	{ KVM_SET_SIGNAL_MASK, VCPU | UMBRA_ARG_RAW, umbra_state_signal_mask },
	{ KVM_TRANSLATE, VCPU_LOADED | UMBRA_LOCK_SRCU, umbra_state_translate },
	{ KVM_GET_LAPIC, VCPU, umbra_irq_get_lapic },
	{ KVM_SET_LAPIC, VCPU, umbra_irq_set_lapic },
	{ KVM_PRE_FAULT_MEMORY, VCPU, umbra_vcpu_prefault },
	{ KVM_GET_TSC_KHZ, VCPU, umbra_tsc_get_khz },
	{ KVM_SET_TSC_KHZ, VCPU_LOADED, umbra_tsc_set_khz },
	{ KVM_GET_STATS_FD, 0, get_stats_fd },
};

static const struct ioctl_table system_table = {
	system_rows, ARRAY_SIZE(system_rows), -EINVAL
};

static const struct ioctl_table vm_table = {
	vm_rows, ARRAY_SIZE(vm_rows), -ENOTTY
};

static const struct ioctl_table vcpu_table = {
	vcpu_rows, ARRAY_SIZE(vcpu_rows), -EINVAL
};

/* The locks, outermost last: each function takes its own and calls the one above. */
static long handle_loaded(struct umbra_call *call, const struct ioctl_row *row)
{
	long ret;

	if (!(row->flags & UMBRA_LOCK_LOADED))
		return row->handler(call);
	umbra_vcpu_load(call->vcpu);
	ret = row->handler(call);
	umbra_vcpu_put(call->vcpu);
	return ret;
}

static long handle_reading(struct umbra_call *call, const struct ioctl_row *row)
{
	long ret;
	int idx;

	if (!(row->flags & UMBRA_LOCK_SRCU))
		return handle_loaded(call, row);
	idx = srcu_read_lock(&call->vm->mmu.srcu);
	ret = handle_loaded(call, row);
	srcu_read_unlock(&call->vm->mmu.srcu, idx);
	return ret;
}

static long handle_locked(struct umbra_call *call, const struct ioctl_row *row)
{
	long ret = -EINTR;

	if (row->flags & UMBRA_LOCK_VM)
		mutex_lock(&call->vm->lock);
	/* KVM_RUN holds it for as long as the guest likes. */
	if (row->flags & UMBRA_LOCK_VCPU && mutex_lock_killable(&call->vcpu->mutex))
		goto out;
	if (row->flags & UMBRA_LOCK_SLOTS)
		mutex_lock(&call->vm->slots_lock);

	ret = handle_reading(call, row);

	if (row->flags & UMBRA_LOCK_SLOTS)
		mutex_unlock(&call->vm->slots_lock);
	if (row->flags & UMBRA_LOCK_VCPU)
		mutex_unlock(&call->vcpu->mutex);
out:
	if (row->flags & UMBRA_LOCK_VM)
		mutex_unlock(&call->vm->lock);
	return ret;
}

/* Run a handler on a kernel copy of its argument. */
static long handle_copied(struct umbra_call *call, const struct ioctl_row *row)
{
	unsigned int size = _IOC_SIZE(row->cmd);
	u64 small[SMALL_ARG / sizeof(u64)] = {};
	long ret = -EFAULT;

	call->data = small;
	if (size > SMALL_ARG) {
		call->data = kzalloc(size, GFP_KERNEL_ACCOUNT);
		if (!call->data)
			return -ENOMEM;
	}

	if (_IOC_DIR(row->cmd) & _IOC_WRITE &&
	    copy_from_user(call->data, umbra_call_user(call), size))
		goto out;
	ret = handle_locked(call, row);
	if (_IOC_DIR(row->cmd) & _IOC_READ &&
	    (ret >= 0 || (ret == -E2BIG && row->flags & UMBRA_OUT_E2BIG)) &&
	    copy_to_user(umbra_call_user(call), call->data, size))
		ret = -EFAULT;
out:
	if (call->data != small)
		kfree(call->data);
	return ret;
}

static long dispatch(const struct ioctl_table *table, struct umbra_call *call, unsigned int cmd)
{
	const struct ioctl_row *row, *end = table->row + table->nr;

	for (row = table->row; row < end; row++)
		if (row->cmd == cmd)
			break;
	if (row == end)
		return table->unknown;
	if (row->flags & UMBRA_ARG_ZERO && call->arg)
		return -EINVAL;
	if (row->flags & UMBRA_ARG_RAW || _IOC_DIR(cmd) == _IOC_NONE)
		return handle_locked(call, row);
	return handle_copied(call, row);
}

static long system_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct umbra_call call = { .arg = arg };

	return dispatch(&system_table, &call, cmd);
}

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct umbra_call call = { .vm = file->private_data, .arg = arg };

	if (call.vm->mm != current->mm)
		return -EIO;
	return dispatch(&vm_table, &call, cmd);
}

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct umbra_call call = { .vcpu = file->private_data, .arg = arg };

	call.vm = call.vcpu->vm;
	if (call.vm->mm != current->mm)
		return -EIO;
	return dispatch(&vcpu_table, &call, cmd);
}

const struct file_operations umbra_system_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = system_ioctl,
	.llseek = noop_llseek,
};

const struct file_operations umbra_vm_fops = {
	.owner = THIS_MODULE,
	.release = umbra_vm_release,
	.unlocked_ioctl = vm_ioctl,
	.llseek = noop_llseek,
};

const struct file_operations umbra_vcpu_fops = {
	.owner = THIS_MODULE,
	.release = umbra_vcpu_release,
	.unlocked_ioctl = vcpu_ioctl,
	.mmap = umbra_vcpu_mmap,
	.llseek = noop_llseek,
};
