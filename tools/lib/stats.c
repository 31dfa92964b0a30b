// SPDX-License-Identifier: GPL-2.0
/* Statistics of a VM or vCPU by name, through KVM_GET_STATS_FD. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "uvmm.h"

static size_t desc_size(const struct uvmm_stats *stats)
{
	return sizeof(struct kvm_stats_desc) + stats->header.name_size;
}

int uvmm_stats_open(struct uvmm_stats *stats, int object_fd)
{
	size_t len;
	int ret;

	memset(stats, 0, sizeof(*stats));
	stats->fd = ioctl(object_fd, KVM_GET_STATS_FD, NULL);
	if (stats->fd < 0)
		return -errno;

	ret = -EIO;
	len = sizeof(stats->header);
	if (pread(stats->fd, &stats->header, len, 0) != (ssize_t)len)
		goto fail;

	len = stats->header.num_desc * desc_size(stats);
	ret = -ENOMEM;
	stats->descs = malloc(len);
	if (!stats->descs)
		goto fail;
	ret = -EIO;
	if (pread(stats->fd, stats->descs, len, stats->header.desc_offset) != (ssize_t)len)
		goto fail;
	return 0;

fail:
	uvmm_stats_close(stats);
	return ret;
}

void uvmm_stats_close(struct uvmm_stats *stats)
{
	if (stats->fd >= 0)
		close(stats->fd);
	free(stats->descs);
	stats->fd = -1;
	stats->descs = NULL;
}

int uvmm_stats_read(const struct uvmm_stats *stats, const char *name, u64 *value)
{
	const struct kvm_stats_desc *desc;
	unsigned int i;

	if (stats->fd < 0)
		return -EBADF;
	for (i = 0; i < stats->header.num_desc; i++) {
		desc = (const void *)(stats->descs + i * desc_size(stats));
		if (strcmp(desc->name, name))
			continue;
		if (pread(stats->fd, value, sizeof(*value),
			  stats->header.data_offset + desc->offset) != sizeof(*value))
			return -EIO;
		return 0;
	}
	return -ENOENT;
}
