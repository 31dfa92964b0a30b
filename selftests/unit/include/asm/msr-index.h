/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_ASM_MSR_INDEX_H
#define UNIT_ASM_MSR_INDEX_H

#include <linux/bits.h>

#define EFER_SCE	BIT(0)
#define EFER_LME	BIT(8)
#define EFER_LMA	BIT(10)
#define EFER_NX		BIT(11)

#endif
