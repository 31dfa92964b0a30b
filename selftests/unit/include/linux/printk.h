/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_PRINTK_H
#define UNIT_LINUX_PRINTK_H

#include <stdio.h>

#define pr_info(...)		printf("# " __VA_ARGS__)
#define pr_err(...)		printf("# " __VA_ARGS__)
#define pr_warn(...)		printf("# " __VA_ARGS__)
#define pr_debug(...)		((void)0)
#define pr_err_ratelimited	pr_err
#define pr_warn_ratelimited	pr_warn

#endif
