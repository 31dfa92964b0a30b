/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_CACHE_H
#define UNIT_LINUX_CACHE_H

#define __ro_after_init

#endif
