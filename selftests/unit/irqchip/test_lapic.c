// SPDX-License-Identifier: GPL-2.0
/* The local APIC: priorities, IPIs, its timer, saved state. */
#include <linux/hrtimer.h>
#include <string.h>
#include "machine.h"
#include "tap.h"

static void ipi(struct umbra_vcpu *vcpu, u32 icr, u8 dest)
{
	apic_write(vcpu, APIC_ICR2, (u32)dest << 24);
	apic_write(vcpu, APIC_ICR, icr);
}

static void priorities(void)
{
	struct umbra_vm *vm = machine_new(1);
	struct umbra_vcpu *v = vm->vcpu[0];

	ok(take(v) == -1, "nothing is pending at first");
	ipi(v, APIC_DEST_SELF | 0x31, 0);
	ipi(v, APIC_DEST_SELF | 0x52, 0);
	ok(take(v) == 0x52, "the higher vector comes first");
	ok(take(v) == -1, "the lower one waits for it");
	ok(apic_read(v, APIC_PROCPRI) == 0x50, "PPR is the class in service");
	ipi(v, APIC_DEST_SELF | 0x5f, 0);
	ok(take(v) == -1, "the same class does not interrupt");
	ipi(v, APIC_DEST_SELF | 0x60, 0);
	ok(take(v) == 0x60, "a higher class does");
	apic_write(v, APIC_EOI, 0);
	apic_write(v, APIC_EOI, 0);
	ok(take(v) == 0x5f, "EOI ends the highest in service");
	apic_write(v, APIC_EOI, 0);
	umbra_lapic_set_cr8(v, 3);
	ok(take(v) == -1 && apic_read(v, APIC_TASKPRI) == 0x30, "TPR holds its class back");
	umbra_lapic_set_cr8(v, 2);
	ok(take(v) == 0x31, "and lets it come when lowered");
	apic_write(v, APIC_EOI, 0);
	ipi(v, APIC_DEST_SELF | 0x08, 0);
	ok(take(v) == -1, "vectors below 16 are refused");
	apic_write(v, APIC_ESR, 0);
	ok(apic_read(v, APIC_ESR) == 0x40, "and noted as an error");
	machine_free(vm);
}

static unsigned int takers(struct umbra_vm *vm)
{
	unsigned int i, mask = 0;

	for (i = 0; i < vm->nr_vcpus; i++) {
		if (take(vm->vcpu[i]) < 0)
			continue;
		mask |= 1u << i;
		umbra_lapic_eoi(vm->vcpu[i]->lapic);
	}
	return mask;
}

static void destinations(void)
{
	struct umbra_vm *vm = machine_new(4);
	struct umbra_vcpu *v = vm->vcpu[0];
	unsigned int i, all = 0;

	ipi(v, 0x41, 2);
	ok(takers(vm) == BIT(2), "physical");
	ipi(v, 0x41, 0xff);
	ok(takers(vm) == 0xf, "broadcast");
	ipi(v, APIC_DEST_ALLBUT | 0x41, 0);
	ok(takers(vm) == 0xe, "all but self");
	ipi(v, APIC_DEST_ALLINC | 0x41, 0);
	ok(takers(vm) == 0xf, "all");
	for (i = 0; i < 4; i++)
		apic_write(vm->vcpu[i], APIC_LDR, 1u << (24 + i));
	ipi(v, APIC_DEST_LOGICAL | 0x41, 0x0a);
	ok(takers(vm) == 0xa, "logical, flat");
	for (i = 0; i < 4; i++) {
		apic_write(vm->vcpu[i], APIC_DFR, 0x0fffffff);
		apic_write(vm->vcpu[i], APIC_LDR, ((i / 2) << 4 | 1u << i % 2) << 24);
	}
	ipi(v, APIC_DEST_LOGICAL | 0x41, 0x13);
	ok(takers(vm) == 0xc, "logical, cluster");
	for (i = 0; i < 4; i++) {
		unsigned int one;

		ipi(v, APIC_DM_LOWEST | 0x41, 0xff);
		one = takers(vm);
		ok(one && !(one & (one - 1)), "lowest priority goes to one");
		all |= one;
	}
	ok(all == 0xf, "and to each in turn");
	apic_write(vm->vcpu[1], APIC_SPIV, 0xff);
	ipi(v, 0x41, 1);
	ok(takers(vm) == 0, "a disabled APIC takes nothing");
	ipi(v, APIC_DM_INIT | APIC_INT_ASSERT | APIC_INT_LEVELTRIG, 1);
	ipi(v, APIC_DM_INIT | APIC_INT_LEVELTRIG, 1);
	ipi(v, APIC_DM_STARTUP | 0x9a, 1);
	ok(vm->vcpu[1]->inits == 1 && vm->vcpu[1]->sipi_vector == 0x9a,
	   "but INIT and SIPI, and no INIT by its de-assertion");
	ipi(v, APIC_DM_NMI, 3);
	ok(vm->vcpu[3]->nmis == 1, "NMI");
	machine_free(vm);
}

static void x2apic(void)
{
	struct umbra_vm *vm = machine_new(20);
	struct umbra_vcpu *v = vm->vcpu[17];
	unsigned int i;
	u64 data;

	ok(umbra_lapic_get_msr(v, APIC_BASE_MSR + 2, &data) < 0, "no MSRs in xAPIC mode");
	for (i = 0; i < 20; i++)
		if (umbra_lapic_write_base(vm->vcpu[i], vm->vcpu[i]->apic_base | X2APIC_ENABLE))
			ok(false, "x2APIC mode");
	ok(!umbra_lapic_get_msr(v, APIC_BASE_MSR + 0x2, &data) && data == 17, "ID");
	ok(!umbra_lapic_get_msr(v, APIC_BASE_MSR + 0xd, &data) && data == 0x10002, "LDR");
	ok(umbra_lapic_set_msr(v, APIC_BASE_MSR + 0xd, 1) < 0, "LDR is read-only");
	ok(umbra_lapic_set_msr(v, APIC_BASE_MSR + 0xe, 1) < 0, "there is no DFR");
	ok(umbra_lapic_set_msr(v, APIC_BASE_MSR + 0xb, 1) < 0, "EOI is written as 0");
	umbra_lapic_set_msr(v, APIC_BASE_MSR + 0x30,
			    0x1000cull << 32 | APIC_DEST_LOGICAL | 0x77);
	ok(takers(vm) == (BIT(18) | BIT(19)), "logical, in a cluster");
	umbra_lapic_set_msr(v, APIC_BASE_MSR + 0x30, ~0u * 0x100000000ull | 0x77);
	ok(takers(vm) == 0xfffff, "broadcast");
	umbra_lapic_set_msr(v, APIC_BASE_MSR + 0x3f, 0x99);
	ok(take(v) == 0x99, "self IPI");
	ok(umbra_lapic_write_base(v, v->apic_base & ~X2APIC_ENABLE) < 0, "not back to xAPIC");
	ok(!umbra_lapic_write_base(v, v->apic_base & ~(X2APIC_ENABLE | MSR_IA32_APICBASE_ENABLE)),
	   "but off");
	machine_free(vm);
}

static unsigned int count_ticks(struct umbra_vcpu *v, u64 ns, u64 step)
{
	unsigned int n = 0;

	for (; ns; ns -= step) {
		machine_run(step);
		if (take(v) < 0)
			continue;
		n++;
		umbra_lapic_eoi(v->lapic);
	}
	return n;
}

static void timer(void)
{
	struct umbra_vm *vm = machine_new(1);
	struct umbra_vcpu *v = vm->vcpu[0];
	u64 data;

	apic_write(v, APIC_TDCR, 3);		/* by 16 */
	apic_write(v, APIC_LVTT, 0xec);
	apic_write(v, APIC_TMICT, 1000);
	machine_run(8000);
	ok(apic_read(v, APIC_TMCCT) == 500, "half of a count");
	ok(count_ticks(v, 7900, 100) == 0, "one-shot is not early");
	ok(count_ticks(v, 100000, 100) == 1, "one-shot comes once");
	ok(apic_read(v, APIC_TMCCT) == 0, "and stops at zero");

	apic_write(v, APIC_LVTT, APIC_LVT_TIMER_PERIODIC | 0xec);
	apic_write(v, APIC_TDCR, 0xb);		/* by 1 */
	apic_write(v, APIC_TMICT, 1000000);
	ok(count_ticks(v, 10000000, 10000) == 10, "periodic");
	apic_write(v, APIC_TMICT, 1);
	ok(count_ticks(v, 10000000, 1000) == 50, "no faster than every 200 us");

	apic_write(v, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | 0xec);
	umbra_lapic_set_msr(v, MSR_IA32_TSC_DEADLINE, umbra_vcpu_guest_tsc(v) + 20000);
	ok(count_ticks(v, 10000, 100) == 0, "deadline is not early");
	ok(count_ticks(v, 10000, 100) == 1, "deadline comes once");
	umbra_lapic_get_msr(v, MSR_IA32_TSC_DEADLINE, &data);
	ok(data == 0, "and is zero then");
	umbra_lapic_set_msr(v, MSR_IA32_TSC_DEADLINE, 1);
	ok(take(v) == 0xec, "a past deadline is due at once");
	umbra_lapic_eoi(v->lapic);
	umbra_lapic_set_msr(v, MSR_IA32_TSC_DEADLINE, ~0ull);
	ok(count_ticks(v, 1000000, 1000) == 0, "one in eternity is not");
	machine_free(vm);
}

/* What user space saves, it gets back; the clock goes on. */
static void state(void)
{
	struct umbra_vm *vm = machine_new(2), *other = machine_new(2);
	struct umbra_vcpu *v = vm->vcpu[1], *w = other->vcpu[1];
	struct kvm_lapic_state saved, again;

	apic_write(v, APIC_TDCR, 0xb);
	apic_write(v, APIC_LVTT, 0xec);
	apic_write(v, APIC_TMICT, 1000000);
	ipi(v, APIC_DEST_SELF | 0x41, 0);
	ipi(v, APIC_DEST_SELF | 0x61, 0);
	ok(take(v) == 0x61, "one is in service, one is waiting");
	machine_run(400000);
	umbra_lapic_get_state(v, &saved);
	umbra_lapic_set_state(w, &saved);
	umbra_lapic_get_state(w, &again);
	ok(!memcmp(&saved, &again, sizeof(saved)), "restored as saved");
	ok(take(w) == -1, "in service still");
	umbra_lapic_eoi(w->lapic);
	ok(take(w) == 0x41, "waiting still");
	umbra_lapic_eoi(w->lapic);
	machine_run(599999);
	ok(take(w) == -1, "the timer is not early");
	machine_run(2);
	ok(take(w) == 0xec, "the timer goes on");
	machine_free(vm);
	machine_free(other);
}

int main(void)
{
	priorities();
	destinations();
	x2apic();
	timer();
	state();
	return tap_done();
}
