/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMX instructions. Each wrapper reports failure; VMREAD and VMWRITE check
 * at compile time that the field has the width of the wrapper.
 *
 * All of them fault once a reboot or a crash has taken the CPU out of VMX
 * operation under a running vCPU; the exception table turns that into the same
 * failure.
 */
#ifndef _UMBRA_VMX_INSN_H
#define _UMBRA_VMX_INSN_H

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

/* Bits 14:13 of a field's encoding. */
#define VMCS_WIDTH_16		0
#define VMCS_WIDTH_64		1
#define VMCS_WIDTH_32		2
#define VMCS_WIDTH_NATURAL	3

#define VMCS_CHECK_WIDTH(field, width) \
	BUILD_BUG_ON_MSG(__builtin_constant_p(field) && (((field) >> 13) & 3) != (width), \
			 "VMCS field of another width")

/* Out of line: log the failure, rate-limited. */
void vmx_insn_failed(const char *insn, unsigned long operand);

/* VMREADs that failed and gave 0, until vmx_vmread_report() logs them. */
extern unsigned int vmx_vmread_failures;
void vmx_vmread_report(void);

/* Not an asm goto: GCC before 12.4 breaks those that have outputs. */
static __always_inline unsigned long vmcs_read_raw(unsigned long field)
{
	unsigned long value;

	asm volatile("1: vmread %[field], %[value]\n\t"
		     "ja 3f\n"
		     "2: xor %k[value], %k[value]\n\t"
		     "incl %[failures]\n"
		     "3:\n\t"
		     _ASM_EXTABLE(1b, 2b)
		     : [value] "=r" (value), [failures] "+m" (vmx_vmread_failures)
		     : [field] "r" (field) : "cc");
	return value;
}

static __always_inline void vmcs_write_raw(unsigned long field, unsigned long value)
{
	asm goto("1: vmwrite %[value], %[field]\n\t"
		 "jbe %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [field] "r" (field), [value] "rm" (value) : "cc" : failed);
	return;
failed:
	vmx_insn_failed("vmwrite", field);
}

static __always_inline u16 vmcs_read16(unsigned long field)
{
	VMCS_CHECK_WIDTH(field, VMCS_WIDTH_16);
	return vmcs_read_raw(field);
}

static __always_inline u32 vmcs_read32(unsigned long field)
{
	VMCS_CHECK_WIDTH(field, VMCS_WIDTH_32);
	return vmcs_read_raw(field);
}

static __always_inline u64 vmcs_read64(unsigned long field)
{
	VMCS_CHECK_WIDTH(field, VMCS_WIDTH_64);
	return vmcs_read_raw(field);
}

static __always_inline unsigned long vmcs_readl(unsigned long field)
{
	VMCS_CHECK_WIDTH(field, VMCS_WIDTH_NATURAL);
	return vmcs_read_raw(field);
}

static __always_inline void vmcs_write16(unsigned long field, u16 value)
{
	VMCS_CHECK_WIDTH(field, VMCS_WIDTH_16);
	vmcs_write_raw(field, value);
}

static __always_inline void vmcs_write32(unsigned long field, u32 value)
{
	VMCS_CHECK_WIDTH(field, VMCS_WIDTH_32);
	vmcs_write_raw(field, value);
}

static __always_inline void vmcs_write64(unsigned long field, u64 value)
{
	VMCS_CHECK_WIDTH(field, VMCS_WIDTH_64);
	vmcs_write_raw(field, value);
}

static __always_inline void vmcs_writel(unsigned long field, unsigned long value)
{
	VMCS_CHECK_WIDTH(field, VMCS_WIDTH_NATURAL);
	vmcs_write_raw(field, value);
}

static __always_inline int vmx_vmclear(u64 pa)
{
	asm goto("1: vmclear %[pa]\n\t"
		 "jbe %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [pa] "m" (pa) : "cc", "memory" : failed);
	return 0;
failed:
	vmx_insn_failed("vmclear", pa);
	return -EIO;
}

static __always_inline int vmx_vmptrld(u64 pa)
{
	asm goto("1: vmptrld %[pa]\n\t"
		 "jbe %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [pa] "m" (pa) : "cc", "memory" : failed);
	return 0;
failed:
	vmx_insn_failed("vmptrld", pa);
	return -EIO;
}

/* CR4.VMXE is set. Faults when VMX is locked off: reported as -EIO too. */
static __always_inline int vmx_vmxon(u64 pa)
{
	asm goto("1: vmxon %[pa]\n\t"
		 "jbe %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [pa] "m" (pa) : "cc", "memory" : failed);
	return 0;
failed:
	return -EIO;
}

/* A crash handler may have done it already: a fault means VMX is off. */
static __always_inline void vmx_vmxoff(void)
{
	asm goto("1: vmxoff\n\t"
		 _ASM_EXTABLE(1b, %l[off])
		 : : : "cc", "memory" : off);
off:
	return;
}

static __always_inline void vmx_invept(unsigned long type, u64 eptp)
{
	struct {
		u64 eptp, zero;
	} desc = { eptp, 0 };

	asm goto("1: invept %[desc], %[type]\n\t"
		 "jbe %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [desc] "m" (desc), [type] "r" (type) : "cc", "memory" : failed);
	return;
failed:
	vmx_insn_failed("invept", eptp);
}

static __always_inline void vmx_invvpid(unsigned long type, u16 vpid, u64 gva)
{
	struct {
		u64 vpid, gva;
	} desc = { vpid, gva };

	asm goto("1: invvpid %[desc], %[type]\n\t"
		 "jbe %l[failed]\n\t"
		 _ASM_EXTABLE(1b, %l[failed])
		 : : [desc] "m" (desc), [type] "r" (type) : "cc", "memory" : failed);
	return;
failed:
	vmx_insn_failed("invvpid", vpid);
}

#endif /* _UMBRA_VMX_INSN_H */
