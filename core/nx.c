// SPDX-License-Identifier: GPL-2.0
/*
 * Parameter nx_huge_pages= and what goes with it, as stock KVM has them: on CPUs
 * with the iTLB multihit erratum guests must not execute from large pages.
 */
#include <linux/cpu.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <asm/cpufeature.h>
#include <umbra/vm.h>
#include "core.h"

/* Within an hour everything is given its chance, unless user space says how soon. */
#define HOUR_MS		(3600 * 1000u)
#define MIN_PERIOD_MS	1000u

/* All of what follows, and the list of VMs. Taken outside of any VM's locks. */
static DEFINE_MUTEX(nx_lock);
static LIST_HEAD(nx_vms);
static bool nx_on, nx_never, nx_chosen;
static unsigned int ratio = 60, period_ms;

static bool auto_mode(void)
{
	return boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off();
}

static void schedule_recovery(struct umbra_vm *vm)
{
	unsigned int ms = period_ms ?: max(HOUR_MS / max(ratio, 1u), MIN_PERIOD_MS);

	lockdep_assert_held(&nx_lock);
	if (vm->mmu.nx_huge && ratio)
		mod_delayed_work(system_unbound_wq, &vm->nx_work, msecs_to_jiffies(ms));
	else
		cancel_delayed_work(&vm->nx_work);
}

static void apply(struct umbra_vm *vm)
{
	lockdep_assert_held(&nx_lock);
	umbra_mmu_set_nx_huge(&vm->mmu, nx_on && !vm->nx_disabled);
	schedule_recovery(vm);
}

static void recover(struct work_struct *work)
{
	struct umbra_vm *vm = container_of(to_delayed_work(work), struct umbra_vm, nx_work);
	u64 splits = atomic64_read(&vm->mmu.stat.nx_lpage_splits);
	unsigned int divisor = READ_ONCE(ratio);

	if (splits && divisor)
		umbra_mmu_recover_nx(&vm->mmu, DIV_ROUND_UP(splits, divisor));
	/* Who destroys the VM waits for this work with nx_lock not held. */
	mutex_lock(&nx_lock);
	if (!list_empty(&vm->nx_link))
		schedule_recovery(vm);
	mutex_unlock(&nx_lock);
}

void umbra_nx_join(struct umbra_vm *vm)
{
	INIT_DELAYED_WORK(&vm->nx_work, recover);
	mutex_lock(&nx_lock);
	list_add(&vm->nx_link, &nx_vms);
	apply(vm);
	mutex_unlock(&nx_lock);
}

void umbra_nx_leave(struct umbra_vm *vm)
{
	mutex_lock(&nx_lock);
	list_del_init(&vm->nx_link);
	mutex_unlock(&nx_lock);
	cancel_delayed_work_sync(&vm->nx_work);
}

void umbra_nx_disable(struct umbra_vm *vm)
{
	mutex_lock(&nx_lock);
	vm->nx_disabled = true;
	apply(vm);
	mutex_unlock(&nx_lock);
}

/* Context: nx_lock held. */
static int set_mode(const char *val)
{
	struct umbra_vm *vm;
	bool on = false;

	if (nx_never)
		return -EPERM;
	if (sysfs_streq(val, "auto")) {
		on = auto_mode();
	} else if (sysfs_streq(val, "force")) {
		on = true;
	} else if (sysfs_streq(val, "never")) {
		if (!list_empty(&nx_vms))
			return -EBUSY;
		nx_never = true;
	} else if (kstrtobool(val, &on)) {
		return -EINVAL;
	}
	nx_on = on;
	nx_chosen = true;
	list_for_each_entry(vm, &nx_vms, nx_link)
		apply(vm);
	return 0;
}

static int nx_set(const char *val, const struct kernel_param *kp)
{
	int ret;

	mutex_lock(&nx_lock);
	ret = set_mode(val);
	mutex_unlock(&nx_lock);
	return ret;
}

static int nx_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", nx_never ? "never" : READ_ONCE(nx_on) ? "Y" : "N");
}

static const struct kernel_param_ops nx_ops = {
	.set = nx_set,
	.get = nx_get,
};

static int recovery_set(const char *val, const struct kernel_param *kp)
{
	struct umbra_vm *vm;
	int ret;

	mutex_lock(&nx_lock);
	ret = param_set_uint(val, kp);
	list_for_each_entry(vm, &nx_vms, nx_link)
		schedule_recovery(vm);
	mutex_unlock(&nx_lock);
	return ret;
}

static const struct kernel_param_ops recovery_ops = {
	.set = recovery_set,
	.get = param_get_uint,
};

/* Parameters are read before that. */
void __init umbra_nx_init(void)
{
	if (!nx_chosen)
		nx_on = auto_mode();
}

module_param_cb(nx_huge_pages, &nx_ops, NULL, 0644);
__MODULE_PARM_TYPE(nx_huge_pages, "charp");
MODULE_PARM_DESC(nx_huge_pages, "Guests execute from small pages only: auto (default), on, off, force or never");
module_param_cb(nx_huge_pages_recovery_ratio, &recovery_ops, &ratio, 0644);
__MODULE_PARM_TYPE(nx_huge_pages_recovery_ratio, "uint");
MODULE_PARM_DESC(nx_huge_pages_recovery_ratio, "Part of the split pages that is recovered at a time, 0 for none");
module_param_cb(nx_huge_pages_recovery_period_ms, &recovery_ops, &period_ms, 0644);
__MODULE_PARM_TYPE(nx_huge_pages_recovery_period_ms, "uint");
MODULE_PARM_DESC(nx_huge_pages_recovery_period_ms, "How often, in ms; 0 for once in an hour for each");
