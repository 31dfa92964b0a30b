// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_GET_STATS_FD. The file reads as
 *
 *	header | id string | descriptors | data
 *
 * The first three never change and are built when the file is opened; the data
 * is taken from the counters at each read.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <umbra/stats.h>
#include <umbra/vcpu.h>
#include <umbra/vm.h>

#define NAME_SIZE	48
#define MAX_STATS	40

/* One counter: a u64 (or atomic64_t) at @offset of the VM or vCPU. */
struct stat_row {
	const char *name;
	u32 flags;
	u32 offset;
};

#define STAT(object, member, field, kind, unit)						\
	{ #field, KVM_STATS_TYPE_##kind | KVM_STATS_UNIT_##unit | KVM_STATS_BASE_POW10,	\
	  offsetof(struct object, member.field) }

#define VM_STAT(field)		STAT(umbra_vm, mmu.stat, field, CUMULATIVE, NONE)
#define VCPU_STAT(field)	STAT(umbra_vcpu, stat, field, CUMULATIVE, NONE)
#define PAGING_STAT(field)	STAT(umbra_vcpu, mmu.stat, field, CUMULATIVE, NONE)

static const struct stat_row vm_stats[] = {
	VM_STAT(remote_tlb_flush),
	VM_STAT(remote_tlb_flush_requests),
	VM_STAT(mmu_shadow_zapped),
	VM_STAT(mmu_pte_write),
	VM_STAT(mmu_pde_zapped),
	VM_STAT(mmu_flooded),
	VM_STAT(mmu_recycled),
	VM_STAT(mmu_cache_miss),
	STAT(umbra_vm, mmu.stat, mmu_unsync, INSTANT, NONE),
	STAT(umbra_vm, mmu.stat, pages_4k, INSTANT, NONE),
	STAT(umbra_vm, mmu.stat, pages_2m, INSTANT, NONE),
	STAT(umbra_vm, mmu.stat, pages_1g, INSTANT, NONE),
	STAT(umbra_vm, mmu.stat, nx_lpage_splits, INSTANT, NONE),
	STAT(umbra_vm, mmu.stat, table_bytes, INSTANT, BYTES),
	STAT(umbra_vm, mmu.stat, max_mmu_rmap_size, PEAK, NONE),
};

static const struct stat_row vcpu_stats[] = {
	PAGING_STAT(pf_taken),
	PAGING_STAT(pf_fixed),
	PAGING_STAT(pf_emulate),
	PAGING_STAT(pf_spurious),
	PAGING_STAT(pf_fast),
	PAGING_STAT(pf_mmio_spte_created),
	PAGING_STAT(pf_guest),
	PAGING_STAT(tlb_flush),
	PAGING_STAT(invlpg),
	VCPU_STAT(exits),
	VCPU_STAT(io_exits),
	VCPU_STAT(mmio_exits),
	VCPU_STAT(signal_exits),
	VCPU_STAT(irq_window_exits),
	VCPU_STAT(nmi_window_exits),
	VCPU_STAT(halt_exits),
	VCPU_STAT(request_irq_exits),
	VCPU_STAT(irq_exits),
	VCPU_STAT(host_state_reload),
	VCPU_STAT(fpu_reload),
	VCPU_STAT(insn_emulation),
	VCPU_STAT(insn_emulation_fail),
	VCPU_STAT(hypercalls),
	VCPU_STAT(irq_injections),
	VCPU_STAT(nmi_injections),
	VCPU_STAT(req_event),
	STAT(umbra_vcpu, stat, guest_mode, INSTANT, BOOLEAN),
	VCPU_STAT(family_switches),
	VCPU_STAT(ahead_exits),
	VCPU_STAT(ahead_insns),
	STAT(umbra_vcpu, stat, shadow_family, INSTANT, BOOLEAN),
};

static_assert(ARRAY_SIZE(vm_stats) <= MAX_STATS && ARRAY_SIZE(vcpu_stats) <= MAX_STATS);

/**
 * struct stats_file - an open statistics file
 * @vm: reference held
 * @object: what the rows' offsets count from
 * @row: the counters
 * @nr: how many
 * @head_len: bytes of @head
 * @head: header, id string, descriptors
 */
struct stats_file {
	struct umbra_vm *vm;
	const void *object;
	const struct stat_row *row;
	unsigned int nr;
	size_t head_len;
	u8 head[];
};

/* The name comes last; in newer kernels it is part of the struct, which has another size. */
#define DESC_SIZE	(offsetof(struct kvm_stats_desc, name) + NAME_SIZE)

static void fill_head(struct stats_file *stats, const struct umbra_vcpu *vcpu)
{
	struct kvm_stats_header *header = (void *)stats->head;
	char *id = (char *)(header + 1);
	u8 *pos = (u8 *)id + NAME_SIZE;
	unsigned int i;

	header->name_size = NAME_SIZE;
	header->num_desc = stats->nr;
	header->id_offset = (u8 *)id - stats->head;
	header->desc_offset = pos - stats->head;
	header->data_offset = stats->head_len;
	if (vcpu)
		snprintf(id, NAME_SIZE, "%s/vcpu-%d", stats->vm->name, vcpu->id);
	else
		strscpy(id, stats->vm->name, NAME_SIZE);

	for (i = 0; i < stats->nr; i++, pos += DESC_SIZE) {
		struct kvm_stats_desc *desc = (void *)pos;

		desc->flags = stats->row[i].flags;
		desc->size = 1;
		desc->offset = i * sizeof(u64);
		strscpy(desc->name, stats->row[i].name, NAME_SIZE);
	}
}

static ssize_t stats_read(struct file *file, char __user *buf, size_t len, loff_t *ppos)
{
	const struct stats_file *stats = file->private_data;
	u64 data[MAX_STATS];
	ssize_t done, ret;
	unsigned int i;
	loff_t pos;

	done = simple_read_from_buffer(buf, len, ppos, stats->head, stats->head_len);
	if (done < 0 || done == len)
		return done;
	if (*ppos < stats->head_len)
		return done;

	for (i = 0; i < stats->nr; i++)
		data[i] = READ_ONCE(*(const u64 *)(stats->object + stats->row[i].offset));
	pos = *ppos - stats->head_len;
	ret = simple_read_from_buffer(buf + done, len - done, &pos, data,
				      stats->nr * sizeof(u64));
	if (ret < 0)
		return done ?: ret;
	*ppos += ret;
	return done + ret;
}

static int stats_release(struct inode *inode, struct file *file)
{
	struct stats_file *stats = file->private_data;

	umbra_vm_put(stats->vm);
	kvfree(stats);
	return 0;
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.read = stats_read,
	.release = stats_release,
	.llseek = default_llseek,
};

static struct stats_file *stats_new(struct umbra_vm *vm, struct umbra_vcpu *vcpu)
{
	unsigned int nr = vcpu ? ARRAY_SIZE(vcpu_stats) : ARRAY_SIZE(vm_stats);
	size_t head_len = sizeof(struct kvm_stats_header) + NAME_SIZE + nr * DESC_SIZE;
	struct stats_file *stats;

	stats = kvzalloc(struct_size(stats, head, head_len), GFP_KERNEL_ACCOUNT);
	if (!stats)
		return NULL;
	stats->vm = vm;
	stats->object = vcpu ? (const void *)vcpu : vm;
	stats->row = vcpu ? vcpu_stats : vm_stats;
	stats->nr = nr;
	stats->head_len = head_len;
	fill_head(stats, vcpu);
	return stats;
}

int umbra_stats_fd(struct umbra_vm *vm, struct umbra_vcpu *vcpu)
{
	struct stats_file *stats = stats_new(vm, vcpu);
	struct file *file;
	int fd;

	if (!stats)
		return -ENOMEM;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		goto err_free;
	file = anon_inode_getfile(vcpu ? "kvm-vcpu-stats" : "kvm-vm-stats", &stats_fops, stats,
				  O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto err_free;
	}
	/* pread() is how the data is meant to be read. */
	file->f_mode |= FMODE_PREAD;
	umbra_vm_get(vm);
	fd_install(fd, file);
	return fd;

err_free:
	kvfree(stats);
	return fd;
}
