// SPDX-License-Identifier: GPL-2.0
/*
 * What KVM_GET_SUPPORTED_CPUID reports: the host's CPUID through masks that let
 * pass only what is virtualised. A feature that is not named here is off.
 */
#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/processor.h>
#include <linux/minmax.h>
#include <asm/kvm_para.h>
#include <umbra/pv.h>
#include <umbra/types.h>
#include <umbra/vcpu.h>
#include <umbra/vmx.h>
#include "core.h"
#include "cpuid.h"

/* What the host's kernel turned off, its guests do not get either. */
#define HOST(word)	(boot_cpu_data.x86_capability[CPUID_##word])

/* Leaves above these have nothing that a guest could use yet. */
#define MAX_BASIC	0x0000000d
#define MAX_EXTENDED	0x80000008
#define HYPERVISOR	0x40000000

/* The bit of a feature in its 32-bit register. */
#define F(name)		BIT(X86_FEATURE_##name & 31)

static const u32 leaf_1_ecx =
	F(XMM3) | F(PCLMULQDQ) | F(SSSE3) | F(CX16) | F(PCID) | F(XMM4_1) | F(XMM4_2) |
	F(MOVBE) | F(POPCNT) | F(AES) | F(RDRAND) | F(XSAVE);

/* What needs a state component: the registers of AVX and AVX-512. */
static const u32 leaf_1_ecx_avx = F(AVX) | F(FMA) | F(F16C);
static const u32 leaf_7_ebx_avx = F(AVX2);
static const u32 leaf_7_ebx_avx512 =
	F(AVX512F) | F(AVX512DQ) | F(AVX512IFMA) | F(AVX512CD) | F(AVX512BW) | F(AVX512VL);
static const u32 leaf_7_ecx_avx = F(VAES) | F(VPCLMULQDQ);
static const u32 leaf_7_ecx_avx512 =
	F(AVX512VBMI) | F(AVX512_VBMI2) | F(AVX512_VNNI) | F(AVX512_BITALG) |
	F(AVX512_VPOPCNTDQ);

static const u32 leaf_d_1_eax = F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1);

static const u32 leaf_1_edx =
	F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) | F(MCE) | F(CX8) |
	F(APIC) | F(SEP) | F(MTRR) | F(PGE) | F(MCA) | F(CMOV) | F(PAT) | F(PSE36) |
	F(CLFLUSH) | F(MMX) | F(FXSR) | F(XMM) | F(XMM2) | F(SELFSNOOP);

static const u32 leaf_7_ebx =
	F(FSGSBASE) | F(BMI1) | F(SMEP) | F(BMI2) | F(ERMS) | F(INVPCID) | F(RDSEED) | F(ADX) |
	F(SMAP) | F(CLFLUSHOPT) | F(CLWB) | F(SHA_NI);

static const u32 leaf_7_edx = F(FSRM);

static const u32 leaf_80000001_ecx = F(LAHF_LM) | F(ABM) | F(3DNOWPREFETCH);

static const u32 leaf_80000001_edx =
	F(SYSCALL) | F(NX) | F(GBPAGES) | F(RDTSCP) | F(LM);

/* Invariant TSC; the kernel's own flags for it mean less or more. */
static const u32 leaf_80000007_edx = BIT(8);

static struct kvm_cpuid_entry2 *add(struct umbra_cpuid_list *list, u32 function)
{
	struct kvm_cpuid_entry2 *entry = &list->entry[list->nr++];

	entry->function = function;
	return entry;
}

/* Add a leaf as the host has it. */
static struct kvm_cpuid_entry2 *add_host(struct umbra_cpuid_list *list, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *entry = add(list, function);

	entry->index = index;
	cpuid_count(function, index, &entry->eax, &entry->ebx, &entry->ecx, &entry->edx);
	return entry;
}

static bool has_component(u64 features)
{
	return (umbra_vmx_xcr0() & features) == features;
}

static u32 known_leaf_1_ecx(void)
{
	u32 known = leaf_1_ecx;

	if (has_component(XFEATURE_MASK_YMM))
		known |= leaf_1_ecx_avx;
	return umbra_vmx_xcr0() ? known : known & ~F(XSAVE);
}

static void mask_leaf_1(struct kvm_cpuid_entry2 *entry)
{
	/* APIC id and package size are the vCPU's: user space fills them in. */
	entry->ebx &= 0x0000ffff;
	entry->ecx &= known_leaf_1_ecx() & HOST(1_ECX);
	/* The x2APIC is ours, whatever the host has. */
	entry->ecx |= F(HYPERVISOR) | F(X2APIC);
	entry->edx &= leaf_1_edx & HOST(1_EDX);
}

static void mask_leaf_7(struct kvm_cpuid_entry2 *entry)
{
	u32 ebx = leaf_7_ebx, ecx = 0;

	if (has_component(XFEATURE_MASK_YMM)) {
		ebx |= leaf_7_ebx_avx;
		ecx |= leaf_7_ecx_avx;
	}
	if (has_component(XFEATURE_MASK_AVX512)) {
		ebx |= leaf_7_ebx_avx512;
		ecx |= leaf_7_ecx_avx512;
	}
	if (umbra_vmx_has_pku())
		ecx |= F(PKU);
	entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	entry->eax = 0;
	entry->ebx &= ebx & HOST(7_0_EBX);
	entry->ebx |= F(TSC_ADJUST);
	if (!umbra_vmx_has_invpcid())
		entry->ebx &= ~F(INVPCID);
	entry->ecx &= ecx & HOST(7_ECX);
	if (umbra_vmx_has_umip())
		entry->ecx |= F(UMIP);
	entry->edx &= leaf_7_edx & HOST(7_EDX);
}

/* State components: which there are, how large their area is, where each is in it. */
static void add_components(struct umbra_cpuid_list *list)
{
	u64 xcr0 = umbra_vmx_xcr0();
	struct kvm_cpuid_entry2 *entry = add(list, 0xd);
	unsigned int i;

	entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	if (!xcr0)
		return;
	entry->eax = lower_32_bits(xcr0);
	entry->edx = upper_32_bits(xcr0);
	entry->ebx = umbra_vmx_xsave_size(xcr0);
	entry->ecx = entry->ebx;
	entry = add_host(list, 0xd, 1);
	entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	entry->eax &= leaf_d_1_eax & HOST(D_1_EAX);
	entry->ebx = 0;
	entry->ecx = 0;
	entry->edx = 0;
	for (i = 2; i < 63; i++) {
		if (!(xcr0 & BIT_ULL(i)))
			continue;
		entry = add_host(list, 0xd, i);
		entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		entry->edx = 0;
	}
}

/* One subleaf per cache, the last one of type 0. */
static void add_caches(struct umbra_cpuid_list *list)
{
	struct kvm_cpuid_entry2 *entry;
	u32 index = 0;

	do {
		entry = add_host(list, 4, index++);
		entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		/* How many cores share it is user space's topology. */
		entry->eax &= 0x00003fff;
	} while (entry->eax & 0x1f && index < 8);
}

static void add_basic(struct umbra_cpuid_list *list, u32 function)
{
	switch (function) {
	case 0x1:
		mask_leaf_1(add_host(list, function, 0));
		break;
	case 0x4:
		add_caches(list);
		break;
	case 0x7:
		mask_leaf_7(add_host(list, function, 0));
		break;
	case 0x2:
		add_host(list, function, 0);
		break;
	case 0xb:
		add(list, function)->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		break;
	case 0xd:
		add_components(list);
		break;
	default:
		/* MONITOR, thermal, direct cache access, performance counters. */
		add(list, function);
	}
}

static void add_hypervisor(struct umbra_cpuid_list *list)
{
	static const char signature[12] = "KVMKVMKVM";
	struct kvm_cpuid_entry2 *entry = add(list, HYPERVISOR);

	entry->eax = HYPERVISOR + 1;
	memcpy(&entry->ebx, signature, 4);
	memcpy(&entry->ecx, signature + 4, 4);
	memcpy(&entry->edx, signature + 8, 4);
	entry = add(list, HYPERVISOR + 1);
	entry->eax = BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_PV_EOI) |
		     BIT(KVM_FEATURE_PV_SCHED_YIELD);
	if (umbra_pv_has_clock())
		entry->eax |= BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2) |
			      BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
	if (umbra_pv_has_steal())
		entry->eax |= BIT(KVM_FEATURE_STEAL_TIME);
}

static void mask_sizes(struct kvm_cpuid_entry2 *entry)
{
	/* Four-level EPT reaches 48 bits; five-level guest paging is off. */
	u32 phys = min_t(u32, umbra_caps.host_maxphyaddr, 48);

	entry->eax = 48 << 8 | phys;
	entry->ebx = 0;
	entry->ecx = 0;
	entry->edx = 0;
}

static void add_extended(struct umbra_cpuid_list *list, u32 function)
{
	struct kvm_cpuid_entry2 *entry;

	switch (function) {
	case 0x80000001:
		entry = add_host(list, function, 0);
		entry->ecx &= leaf_80000001_ecx & HOST(8000_0001_ECX);
		entry->edx &= leaf_80000001_edx & HOST(8000_0001_EDX);
		if (!umbra_vmx_has_rdtscp())
			entry->edx &= ~F(RDTSCP);
		break;
	case 0x80000007:
		entry = add_host(list, function, 0);
		entry->eax = 0;
		entry->ebx = 0;
		entry->ecx = 0;
		entry->edx &= leaf_80000007_edx;
		break;
	case 0x80000008:
		mask_sizes(add_host(list, function, 0));
		break;
	default:
		/* Brand string, caches. */
		add_host(list, function, 0);
	}
}

void umbra_cpuid_host(struct umbra_cpuid_list *list)
{
	struct kvm_cpuid_entry2 *entry;
	u32 function, last;

	entry = add_host(list, 0, 0);
	last = min_t(u32, entry->eax, MAX_BASIC);
	entry->eax = last;
	for (function = 1; function <= last; function++)
		add_basic(list, function);

	add_hypervisor(list);

	entry = add_host(list, 0x80000000, 0);
	last = min_t(u32, entry->eax, MAX_EXTENDED);
	entry->eax = last;
	for (function = 0x80000001; function <= last; function++)
		add_extended(list, function);
}
