/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_IRQCHIP_MSR_INDEX_H
#define UNIT_IRQCHIP_MSR_INDEX_H

#include <linux/bits.h>

#define MSR_IA32_APICBASE_BSP		BIT(8)
#define X2APIC_ENABLE			BIT(10)
#define MSR_IA32_APICBASE_ENABLE	BIT(11)
#define MSR_IA32_TSC_DEADLINE		0x6e0

#endif
