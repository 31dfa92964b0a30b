/* SPDX-License-Identifier: GPL-2.0 */
/* core/xmm.c: umbra_emu_ops.xmm_read and xmm_write of a vCPU that is loaded. */
#ifndef _UMBRA_CORE_XMM_H
#define _UMBRA_CORE_XMM_H

#include <umbra/emulate.h>

enum umbra_emu_access umbra_xmm_read(struct umbra_emu *emu, unsigned int reg, void *buf,
				     bool vex);
enum umbra_emu_access umbra_xmm_write(struct umbra_emu *emu, unsigned int reg, const void *buf,
				      bool vex);

#endif /* _UMBRA_CORE_XMM_H */
