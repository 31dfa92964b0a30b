/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MODULEPARAM_H
#define UNIT_LINUX_MODULEPARAM_H

#define module_param(name, type, perm)		struct unit_unused
#define module_param_named(name, value, type, perm)	struct unit_unused
#define MODULE_PARM_DESC(name, desc)		struct unit_unused

#endif
