// SPDX-License-Identifier: GPL-2.0
/* The host side of the guest image. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "guest_vm.h"

#define MAX_STRAY_MMIO 64

const struct payload payloads[] = {
#define PAYLOAD(name_, ops_, flags_) { .name = #name_, .ops = (ops_), .flags = (flags_) },
#include "payloads.h"
#undef PAYLOAD
};

const unsigned int n_payloads = ARRAY_SIZE(payloads);

static int call_slot_delete(struct guest *guest)
{
	u32 slot = 1 + (guest->ctl->arg[0] - GUEST_ALIAS_GPA) / GUEST_SLOT_SIZE;

	return uvmm_slot(&guest->vm, slot, 0, 0, NULL, 0) ? GUEST_FAILED : 0;
}

static int call_dontneed(struct guest *guest)
{
	u64 gpa = guest->ctl->arg[0], len = guest->ctl->arg[1];
	void *hva = uvmm_hva(&guest->vm, gpa, len);

	return hva && !madvise(hva, len, MADV_DONTNEED) ? 0 : GUEST_FAILED;
}

/* Inject now if the guest is open for it, else ask for an exit when it is. */
static int inject_irq(struct guest_cpu *cpu)
{
	struct kvm_run *run = cpu->vcpu.run;
	struct kvm_interrupt irq = { .irq = cpu->irq };

	if (!cpu->irq_wanted)
		return 0;
	if (!run->ready_for_interrupt_injection) {
		run->request_interrupt_window = 1;
		return 0;
	}
	if (ioctl(cpu->vcpu.fd, KVM_INTERRUPT, &irq) < 0)
		return GUEST_FAILED;
	cpu->irq_wanted = false;
	run->request_interrupt_window = 0;
	return 0;
}

static int read_stat(struct guest_cpu *cpu, const char *name, u64 *value)
{
	struct uvmm_stats stats;
	int ret = uvmm_stats_open(&stats, cpu->vcpu.fd);

	if (ret)
		return ret;
	ret = uvmm_stats_read(&stats, name, value);
	uvmm_stats_close(&stats);
	return ret;
}

static int stat_failed(struct guest *guest, const char *name, u64 got, u64 want)
{
	guest->ctl->fail_got = got;
	guest->ctl->fail_want = want;
	strcpy(guest->ctl->fail_expr, name);
	return GUEST_FAILED;
}

/*
 * A VM with shadow paging that stays on EPT would pass all the same. Stock KVM
 * has no such choice, and no statistic of that name.
 */
static int check_family(struct guest_cpu *cpu)
{
	u64 shadow, want = cpu->guest->paging == UVMM_PAGING_SHADOW;

	if (cpu->guest->paging == UVMM_PAGING_DEFAULT ||
	    read_stat(cpu, "shadow_family", &shadow) || shadow == want)
		return 0;
	return stat_failed(cpu->guest, "shadow_family", shadow, want);
}

/* Were writes to tables taken by the emulator, not let through? */
static int check_emulated(struct guest_cpu *cpu)
{
	u64 shadow, done, want = cpu->guest->ctl->arg[0];

	if (read_stat(cpu, "shadow_family", &shadow) || !shadow)
		return 0;
	if (read_stat(cpu, "insn_emulation", &done))
		return GUEST_FAILED;
	return done >= want ? 0 : stat_failed(cpu->guest, "insn_emulation", done, want);
}

static int serve_call(struct guest_cpu *cpu, u32 nr)
{
	struct guest *guest = cpu->guest;

	switch (nr) {
	case CALL_DONE:
		return GUEST_DONE;
	case CALL_FAIL:
		return GUEST_FAILED;
	case CALL_SKIP:
		return GUEST_SKIPPED;
	case CALL_MARK_BEGIN:
	case CALL_MARK_END:
		if (guest->mark)
			guest->mark(guest, nr == CALL_MARK_BEGIN);
		return 0;
	case CALL_DONTNEED:
		return call_dontneed(guest);
	case CALL_SLOT_DELETE:
		return call_slot_delete(guest);
	case CALL_LOG:
		return guest_log_slot(guest);
	case CALL_IRQ:
		cpu->irq = guest->ctl->arg[0];
		cpu->irq_wanted = true;
		return inject_irq(cpu);
	case CALL_NMI:
		return ioctl(cpu->vcpu.fd, KVM_NMI) < 0 ? GUEST_FAILED : 0;
	case CALL_YIELD:
		sched_yield();
		return 0;
	case CALL_EMULATED:
		return check_emulated(cpu);
	case CALL_PAGED:
		return check_family(cpu);
	}
	return GUEST_FAILED;
}

/* OUT appends to the string, IN plays it back; at the end of IN both start anew. */
static void serve_string(struct guest *guest, const struct uvmm_io *io)
{
	u32 len = io->size * io->count;
	u32 *pos = io->in ? &guest->string_in : &guest->string_out;

	if (len > sizeof(guest->string) - *pos)
		len = sizeof(guest->string) - *pos;
	if (io->in)
		memcpy(io->data, guest->string + *pos, len);
	else
		memcpy(guest->string + *pos, io->data, len);
	*pos += len;
	if (io->in && *pos >= guest->string_out) {
		guest->string_in = 0;
		guest->string_out = 0;
	}
}

static int guest_io(struct uvmm_vcpu *vcpu, const struct uvmm_io *io)
{
	struct guest_cpu *cpu = vcpu->ctx;

	switch (io->port) {
	case GUEST_PORT_NULL:
		return 0;
	case GUEST_PORT_CALL:
		return io->in ? GUEST_FAILED : serve_call(cpu, *(u32 *)io->data);
	case GUEST_PORT_CHAR:
		fwrite(io->data, io->size, io->count, stderr);
		return 0;
	case GUEST_PORT_STR:
		serve_string(cpu->guest, io);
		return 0;
	}
	return GUEST_EXITED;
}

static int guest_mmio(struct uvmm_vcpu *vcpu, const struct uvmm_mmio *mmio)
{
	struct guest_cpu *cpu = vcpu->ctx;
	u64 offset = mmio->gpa - GUEST_MMIO_GPA;
	u8 *reg = cpu->guest->mmio + offset;

	/* Elsewhere there is nothing: reads give ones, and a hostile guest gets its fill. */
	if (offset + mmio->len > sizeof(cpu->guest->mmio)) {
		if (!(cpu->guest->payload->flags & PAYLOAD_HOSTILE) ||
		    ++cpu->guest->stray_mmio > MAX_STRAY_MMIO)
			return GUEST_EXITED;
		if (!mmio->write)
			memset(mmio->data, 0xff, mmio->len);
		return 0;
	}
	if (mmio->write)
		memcpy(reg, mmio->data, mmio->len);
	else
		memcpy(mmio->data, reg, mmio->len);
	return 0;
}

static int guest_irq_window(struct uvmm_vcpu *vcpu)
{
	return inject_irq(vcpu->ctx);
}

/* A halted guest goes on when it waits for the interrupt that it asked for. */
static int guest_hlt(struct uvmm_vcpu *vcpu)
{
	struct guest_cpu *cpu = vcpu->ctx;

	return cpu->irq_wanted ? inject_irq(cpu) : GUEST_EXITED;
}

static const struct uvmm_ops guest_ops = {
	.io = guest_io,
	.mmio = guest_mmio,
	.hlt = guest_hlt,
	.irq_window = guest_irq_window,
};

static int start_cpu(struct guest_cpu *cpu, u32 flags)
{
	u64 entry[3];

	memcpy(entry, guest_image, sizeof(entry));
	if (flags & PAYLOAD_PROT)
		return uvmm_start_prot(&cpu->vcpu, entry[GUEST_ENTRY_PROT], 0x8000, 0);
	if (flags & PAYLOAD_REAL)
		return uvmm_start_real(&cpu->vcpu, GUEST_IMAGE_GPA >> 4,
				       entry[GUEST_ENTRY_REAL] - GUEST_IMAGE_GPA,
				       flags & PAYLOAD_SWITCH ? GUEST_ARG_SWITCH : GUEST_ARG_SUM);
	return uvmm_start_long(&cpu->vcpu, entry[GUEST_ENTRY_LONG], 0, cpu->vcpu.id);
}

static int create_cpu(struct guest *guest, unsigned int id)
{
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct guest_cpu *cpu = &guest->cpu[id];
	int ret;

	ret = uvmm_vcpu_create(&cpu->vcpu, &guest->vm, id);
	if (ret)
		return ret;
	guest->n_cpus++;
	cpu->guest = guest;
	cpu->vcpu.ctx = cpu;
	/* With a local APIC all but the first would wait for an INIT. */
	if (guest->payload->flags & PAYLOAD_APIC &&
	    ioctl(cpu->vcpu.fd, KVM_SET_MP_STATE, &runnable) < 0)
		return -errno;
	return start_cpu(cpu, guest->payload->flags);
}

static bool huge_pages;

void guest_use_huge_pages(bool on)
{
	huge_pages = on;
	if (on)
		uvmm_host_allow_thp();
}

#define HUGE_ALIGN	(2UL << 20)

/* Memory that the host backs with huge pages, or NULL. */
static void *huge_memory(struct guest *guest, u64 size)
{
	char *hva;

	if (!huge_pages)
		return NULL;
	hva = mmap(NULL, size + HUGE_ALIGN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (hva == MAP_FAILED)
		return NULL;
	guest->huge = hva;
	hva += -(unsigned long)hva & (HUGE_ALIGN - 1);
	madvise(hva, size, MADV_HUGEPAGE);
	return hva;
}

/* @nr slots of @size from GUEST_ALIAS_GPA on, for memory that is shown again and again. */
static int add_slots(struct guest *guest, unsigned int nr, u64 size, char *memory, u64 len)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < nr; i++)
		ret = uvmm_slot(&guest->vm, 1 + i, GUEST_ALIAS_GPA + i * size, size,
				memory + i * size % len, 0);
	return ret;
}

/* Of each step its first page is there, and nothing around it. */
static int sparse_memory(struct guest *guest)
{
	char *memory = mmap(NULL, GUEST_FEW_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u64 i;

	if (memory == MAP_FAILED)
		return -errno;
	guest->sparse = memory;
	madvise(memory, GUEST_FEW_SIZE, MADV_NOHUGEPAGE);
	for (i = 0; i < GUEST_FEW_SIZE; i += GUEST_MOST_STEP)
		*(volatile char *)(memory + i) = 0;
	return 0;
}

static unsigned int most_slots = GUEST_MOST;

void guest_use_slots(unsigned int nr)
{
	most_slots = nr;
}

static int add_memory(struct guest *guest)
{
	u32 flags = guest->payload->flags;
	char *end;
	int ret;

	ret = uvmm_mem_add(&guest->vm, 0, 0, GUEST_MEM_SIZE, huge_memory(guest, GUEST_MEM_SIZE),
			   0);
	if (ret)
		return ret;
	end = guest->vm.mem[0].hva + GUEST_MEM_SIZE;
	if (flags & PAYLOAD_ALIAS)
		return add_slots(guest, GUEST_ALIASES, GUEST_ALIAS_SIZE, end - GUEST_ALIAS_SIZE,
				 GUEST_ALIAS_SIZE);
	if (flags & PAYLOAD_SLOTS)
		return add_slots(guest, GUEST_SLOTS, GUEST_SLOT_SIZE, end - GUEST_SLOT_SIZE,
				 GUEST_SLOT_SIZE);
	if (!(flags & (PAYLOAD_SLOTS_FEW | PAYLOAD_SLOTS_MOST)))
		return 0;
	ret = sparse_memory(guest);
	if (ret)
		return ret;
	if (flags & PAYLOAD_SLOTS_FEW)
		return add_slots(guest, 4, GUEST_FEW_SIZE, guest->sparse, GUEST_FEW_SIZE);
	return add_slots(guest, most_slots, GUEST_MOST_SIZE, guest->sparse, GUEST_FEW_SIZE);
}

int guest_create(struct guest *guest, const char *node, enum uvmm_paging paging,
		 const struct payload *payload, unsigned int n_cpus)
{
	unsigned int id;
	int ret;

	memset(guest, 0, sizeof(*guest));
	guest->payload = payload;
	guest->paging = paging;
	ret = uvmm_vm_create(&guest->vm, node, paging);
	if (ret)
		return ret;

	ret = add_memory(guest);
	if (!ret)
		ret = uvmm_load(&guest->vm, GUEST_IMAGE_GPA, guest_image,
				guest_image_end - guest_image);
	if (!ret && payload->flags & PAYLOAD_APIC && ioctl(guest->vm.fd, KVM_CREATE_IRQCHIP) < 0)
		ret = -errno;
	for (id = 0; !ret && id < n_cpus; id++)
		ret = create_cpu(guest, id);
	if (ret) {
		guest_destroy(guest);
		return ret;
	}
	guest->ctl = uvmm_hva(&guest->vm, GUEST_CTL_GPA, sizeof(*guest->ctl));
	guest->ctl->payload = payload - payloads;
	guest->ctl->n_cpus = n_cpus;
	guest->ctl->ops = payload->ops;
	guest->ctl->arg[0] = most_slots;
	return 0;
}

static void note_exit(struct guest_cpu *cpu)
{
	const struct kvm_run *run = cpu->vcpu.run;
	struct kvm_regs regs;

	cpu->exit_reason = run->exit_reason;
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		cpu->exit_detail = run->mmio.phys_addr;
		break;
	case KVM_EXIT_IO:
		cpu->exit_detail = run->io.port;
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		cpu->exit_detail = run->internal.suberror;
		break;
	case KVM_EXIT_FAIL_ENTRY:
		cpu->exit_detail = run->fail_entry.hardware_entry_failure_reason;
		break;
	}
	if (!ioctl(cpu->vcpu.fd, KVM_GET_REGS, &regs))
		cpu->rip = regs.rip;
}

/* Where there are fewer CPUs the scheduler does as it likes. */
static void pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *run_cpu(void *arg)
{
	struct guest_cpu *cpu = arg;
	int ret;

	if (cpu->guest->pinned)
		pin(cpu->vcpu.id);
	ret = uvmm_run(&cpu->vcpu, &guest_ops);
	note_exit(cpu);
	if (ret > 0) {
		cpu->end = ret;
	} else if (ret == 0) {
		cpu->end = GUEST_EXITED;
	} else {
		cpu->end = GUEST_ERROR;
		cpu->error = -ret;
	}
	return NULL;
}

static u64 host_data_sum(const struct guest *guest)
{
	const u64 *p = uvmm_hva(&guest->vm, GUEST_DATA_GPA, 8);
	u64 n = (guest->ctl->data_end - GUEST_DATA_GPA) / 8;
	u64 sum = 0, i;

	for (i = 0; i < n; i++)
		sum = guest_mix(sum, p[i]);
	return sum;
}

/* Make vCPUs leave the guest: for a watchdog, safe in signal handlers. */
void guest_stop(struct guest *guest)
{
	unsigned int id;

	for (id = 0; id < guest->n_cpus; id++)
		guest->cpu[id].vcpu.run->immediate_exit = 1;
	for (id = 1; id < guest->n_cpus; id++)
		if (guest->cpu[id].started)
			pthread_kill(guest->cpu[id].thread, SIGUSR1);
}

/*
 * Run the payload to its end: vCPU 0 in this thread, the others each in their
 * own. When vCPU 0 is through, so is the guest.
 */
enum guest_end guest_run(struct guest *guest)
{
	struct guest_cpu *boot = &guest->cpu[0];
	unsigned int id;

	for (id = 1; id < guest->n_cpus; id++)
		guest->cpu[id].started = !pthread_create(&guest->cpu[id].thread, NULL, run_cpu,
							 &guest->cpu[id]);
	run_cpu(boot);
	if (guest->n_cpus > 1)
		guest_stop(guest);
	for (id = 1; id < guest->n_cpus; id++)
		if (guest->cpu[id].started)
			pthread_join(guest->cpu[id].thread, NULL);

	if (boot->end == GUEST_DONE && guest->ctl->data_end)
		guest->data_sum = host_data_sum(guest);
	return boot->end;
}

void guest_destroy(struct guest *guest)
{
	unsigned int id;

	for (id = 0; id < guest->n_cpus; id++)
		uvmm_vcpu_destroy(&guest->cpu[id].vcpu);
	uvmm_vm_destroy(&guest->vm);
	if (guest->huge)
		munmap(guest->huge, GUEST_MEM_SIZE + HUGE_ALIGN);
	if (guest->sparse)
		munmap(guest->sparse, GUEST_FEW_SIZE);
	guest->huge = NULL;
	guest->sparse = NULL;
}
