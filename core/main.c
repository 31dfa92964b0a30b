// SPDX-License-Identifier: GPL-2.0
/* Module entry and exit, parameters, and the device node. */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/umbra.h>
#include <umbra/mmu.h>
#include <umbra/vmx.h>
#include "core.h"
#include "debugfs.h"
#include "ioctl.h"

struct umbra_mmu_caps umbra_caps __ro_after_init;

static const char * const paging_name[] = {
	[UMBRA_PAGING_EPT] = "ept",
	[UMBRA_PAGING_SHADOW] = "shadow",
};

static int paging = UMBRA_PAGING_EPT;

static int paging_set(const char *val, const struct kernel_param *kp)
{
	int mode = sysfs_match_string(paging_name, val);

	if (mode < 0)
		return mode;
	WRITE_ONCE(paging, mode);
	return 0;
}

static int paging_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", paging_name[READ_ONCE(paging)]);
}

static const struct kernel_param_ops paging_ops = {
	.set = paging_set,
	.get = paging_get,
};

module_param_cb(paging, &paging_ops, NULL, 0644);
__MODULE_PARM_TYPE(paging, "charp");
MODULE_PARM_DESC(paging, "Paging mode of new VMs: ept (default) or shadow");

module_param_named(audit, umbra_mmu_audit_every, uint, 0644);
MODULE_PARM_DESC(audit, "Check all page tables of a VM after every Nth page fault; 0 is never");

module_param_named(eager_page_split, umbra_eager_page_split, bool, 0644);
MODULE_PARM_DESC(eager_page_split, "Split large pages when dirty logging starts (default: on)");

static bool mmio_caching = true;
module_param(mmio_caching, bool, 0444);
MODULE_PARM_DESC(mmio_caching, "Let the CPU tell accesses to frames without memory (default on)");

enum umbra_policy umbra_default_policy(void)
{
	return READ_ONCE(paging) == UMBRA_PAGING_SHADOW ? UMBRA_POLICY_SHADOW : UMBRA_POLICY_EPT;
}

static struct miscdevice umbra_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "umbra",
	.mode = 0660,
	.fops = &umbra_system_fops,
};

static int __init umbra_init(void)
{
	int ret;

	ret = umbra_vmx_init(&umbra_caps);
	if (ret)
		return ret;
	umbra_caps.mmio_caching = mmio_caching;
	ret = umbra_mmu_module_init(&umbra_caps);
	if (ret)
		goto err_vmx;
	ret = umbra_shadow_pages_init();
	if (ret)
		goto err_mmu;
	umbra_nx_init();
	umbra_debugfs_init();
	ret = misc_register(&umbra_dev);
	if (ret)
		goto err_debugfs;
	return 0;

err_debugfs:
	umbra_debugfs_exit();
	umbra_shadow_pages_exit();
err_mmu:
	umbra_mmu_module_exit();
err_vmx:
	umbra_vmx_exit();
	return ret;
}

static void __exit umbra_exit(void)
{
	misc_deregister(&umbra_dev);
	umbra_debugfs_exit();
	umbra_shadow_pages_exit();
	umbra_mmu_module_exit();
	umbra_vmx_exit();
}

module_init(umbra_init);
module_exit(umbra_exit);

MODULE_AUTHOR("The Umbra project");
MODULE_DESCRIPTION("Virtual machines with shadow paging and EPT side by side (KVM ABI)");
MODULE_LICENSE("GPL");
