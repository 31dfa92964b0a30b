// SPDX-License-Identifier: GPL-2.0
#include <linux/hrtimer.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "machine.h"

u64 unit_now = NSEC_PER_SEC;

static struct hrtimer *timers;

void hrtimer_init(struct hrtimer *timer, int clock, int mode)
{
	timer->active = false;
}

void hrtimer_start(struct hrtimer *timer, ktime_t expires, int mode)
{
	WARN_ON(timer->active || expires < 0);
	timer->expires = expires;
	timer->active = true;
	timer->next = timers;
	timers = timer;
}

int hrtimer_cancel(struct hrtimer *timer)
{
	struct hrtimer **p;

	for (p = &timers; *p; p = &(*p)->next) {
		if (*p != timer)
			continue;
		*p = timer->next;
		timer->active = false;
		return 1;
	}
	return 0;
}

u64 hrtimer_forward_now(struct hrtimer *timer, ktime_t interval)
{
	u64 passed;

	WARN_ON(interval <= 0);
	if ((s64)unit_now < timer->expires)
		return 0;
	passed = (unit_now - timer->expires) / interval + 1;
	timer->expires += passed * interval;
	return passed;
}

static struct hrtimer *first_timer(void)
{
	struct hrtimer *timer, *first = NULL;

	for (timer = timers; timer; timer = timer->next)
		if (!first || timer->expires < first->expires)
			first = timer;
	return first;
}

void machine_run(u64 ns)
{
	u64 end = unit_now + ns;
	struct hrtimer *timer;

	while ((timer = first_timer()) && timer->expires <= (s64)end) {
		unit_now = max_t(u64, unit_now, timer->expires);
		hrtimer_cancel(timer);
		if (timer->function(timer) == HRTIMER_RESTART)
			hrtimer_start(timer, timer->expires, 0);
	}
	unit_now = end;
}

void umbra_vcpu_tpr_access(struct umbra_vcpu *vcpu, bool write)
{
}

void umbra_vcpu_notify(struct umbra_vcpu *vcpu)
{
	vcpu->notified++;
}

void umbra_vcpu_nmi(struct umbra_vcpu *vcpu)
{
	vcpu->nmis++;
}

void umbra_vcpu_init_signal(struct umbra_vcpu *vcpu)
{
	vcpu->inits++;
}

void umbra_vcpu_sipi(struct umbra_vcpu *vcpu, u8 vector)
{
	vcpu->sipis++;
	vcpu->sipi_vector = vector;
}

u64 umbra_vcpu_guest_tsc(struct umbra_vcpu *vcpu)
{
	return unit_now * TSC_PER_NS;
}

u32 umbra_vcpu_tsc_khz(struct umbra_vcpu *vcpu)
{
	return TSC_PER_NS * 1000000;
}

struct kvm_cpuid_entry2 *umbra_vcpu_cpuid(struct umbra_vcpu *vcpu, u32 function, u32 index)
{
	static struct kvm_cpuid_entry2 leaf_1 = { .ecx = BIT(21) | BIT(24) };

	return function == 1 ? &leaf_1 : NULL;
}

/* The eventfds need files: not here. */
void umbra_irqfd_acked(struct umbra_irqchip *chip, unsigned int which, u32 pins)
{
}

void umbra_irqfd_destroy(struct umbra_irqchip *chip)
{
}

bool umbra_ioeventfd_signal(struct umbra_vm *vm, bool pio, u64 addr, const void *data,
			    unsigned int len)
{
	return false;
}

struct umbra_vm *machine_new(unsigned int nr)
{
	struct umbra_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL);
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	unsigned int i;

	write_lock(&vm->lock);
	unit_atomic_depth = 0;
	WARN_ON(umbra_irqchip_create(vm) || umbra_pit_create(vm, &config));
	for (i = 0; i < nr; i++) {
		struct umbra_vcpu *vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL);

		vcpu->vm = vm;
		vcpu->id = i;
		WARN_ON(umbra_lapic_create(vcpu));
		vm->vcpu[i] = vcpu;
		vm->nr_vcpus++;
		apic_write(vcpu, APIC_SPIV, APIC_SPIV_APIC_ENABLED | 0xff);
	}
	return vm;
}

void machine_free(struct umbra_vm *vm)
{
	unsigned int i;

	umbra_irqchip_quiesce(vm);
	for (i = 0; i < vm->nr_vcpus; i++) {
		umbra_lapic_destroy(vm->vcpu[i]);
		kfree(vm->vcpu[i]);
	}
	umbra_irqchip_destroy(vm);
	kfree(vm);
}

u32 apic_read(struct umbra_vcpu *vcpu, unsigned int offset)
{
	u32 data;

	WARN_ON(!umbra_irqchip_mmio(vcpu, APIC_DEFAULT_PHYS_BASE + offset, &data, 4, false));
	return data;
}

void apic_write(struct umbra_vcpu *vcpu, unsigned int offset, u32 data)
{
	WARN_ON(!umbra_irqchip_mmio(vcpu, APIC_DEFAULT_PHYS_BASE + offset, &data, 4, true));
}

u8 port_in(struct umbra_vcpu *vcpu, u16 port)
{
	u8 data;

	WARN_ON(!umbra_irqchip_pio(vcpu, port, &data, 1, false));
	return data;
}

void port_out(struct umbra_vcpu *vcpu, u16 port, u8 data)
{
	WARN_ON(!umbra_irqchip_pio(vcpu, port, &data, 1, true));
}

u32 ioapic_read(struct umbra_vcpu *vcpu, u32 reg)
{
	u32 data;

	WARN_ON(!umbra_irqchip_mmio(vcpu, IOAPIC_BASE, &reg, 4, true));
	WARN_ON(!umbra_irqchip_mmio(vcpu, IOAPIC_BASE + 0x10, &data, 4, false));
	return data;
}

void ioapic_write(struct umbra_vcpu *vcpu, u32 reg, u32 data)
{
	WARN_ON(!umbra_irqchip_mmio(vcpu, IOAPIC_BASE, &reg, 4, true));
	WARN_ON(!umbra_irqchip_mmio(vcpu, IOAPIC_BASE + 0x10, &data, 4, true));
}

int take(struct umbra_vcpu *vcpu)
{
	return umbra_irq_pending(vcpu) ? umbra_irq_ack(vcpu) : -1;
}
