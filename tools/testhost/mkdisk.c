// SPDX-License-Identifier: GPL-2.0
/*
 * mkdisk: lay out the disk image of one run of the test host.
 *
 *   mkdisk OUT BOOT VMLINUZ KERNEL ENTRY CMDLINE INITRD...
 *
 * OUT is: boot sector, boot_params with the command line, flat kernel,
 * initramfs (the INITRDs one after the other), each starting on a sector.
 * boot_params takes the setup header of VMLINUZ, as a boot loader would.
 */
#include <asm/bootparam.h>
#include <err.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

/* The emulator wants whole cylinders of 16 heads with 63 sectors. */
#define CYLINDER	(16 * 63 * SECTOR_SIZE)

struct segment {
	uint32_t lba;
	uint32_t sectors;
	uint64_t addr;
} __attribute__((packed));

struct boot_table {
	uint32_t entry;
	struct segment segments[BOOT_SEGMENTS + 1];
} __attribute__((packed));

static FILE *xopen(const char *path, const char *mode)
{
	FILE *f = fopen(path, mode);

	if (!f)
		err(1, "%s", path);
	return f;
}

static void pad(FILE *out, long unit)
{
	long rest = ftell(out) % unit;

	if (rest && fseek(out, unit - rest, SEEK_CUR))
		err(1, "seek");
}

/* Append a file, return its size rounded up to four, as cpio archives need. */
static size_t append(FILE *out, const char *path)
{
	static char buf[1 << 20];
	FILE *in = xopen(path, "rb");
	size_t n, size = 0;

	while ((n = fread(buf, 1, sizeof(buf), in)) > 0) {
		if (fwrite(buf, 1, n, out) != n)
			err(1, "write");
		size += n;
	}
	if (ferror(in))
		err(1, "%s", path);
	fclose(in);
	pad(out, 4);
	return (size + 3) & ~3ul;
}

static void read_setup_header(const char *vmlinuz, struct boot_params *params)
{
	const size_t start = offsetof(struct boot_params, hdr);
	FILE *in = xopen(vmlinuz, "rb");
	uint8_t head[sizeof(*params)];
	size_t end;

	if (fread(head, sizeof(head), 1, in) != 1 || memcmp(head + 0x202, "HdrS", 4))
		errx(1, "%s: not a bzImage", vmlinuz);
	fclose(in);
	end = 0x202 + head[0x201];
	if (end > start + sizeof(params->hdr))
		end = start + sizeof(params->hdr);
	memcpy(&params->hdr, head + start, end - start);
}

static void begin(FILE *out, struct segment *s, uint64_t addr)
{
	pad(out, SECTOR_SIZE);
	s->lba = ftell(out) / SECTOR_SIZE;
	s->addr = addr;
}

static void end(FILE *out, struct segment *s)
{
	pad(out, SECTOR_SIZE);
	s->sectors = ftell(out) / SECTOR_SIZE - s->lba;
}

int main(int argc, char **argv)
{
	union {
		struct boot_params params;
		char bytes[PARAMS_SIZE];
	} zero = { 0 };
	struct boot_table table = { 0 };
	struct segment *s = table.segments;
	size_t initrd = 0;
	FILE *out;
	int i;

	if (argc < 8)
		errx(1, "usage: mkdisk OUT BOOT VMLINUZ KERNEL ENTRY CMDLINE INITRD...");
	if (strlen(argv[6]) >= PARAMS_SIZE - (CMDLINE_ADDR - PARAMS_ADDR))
		errx(1, "command line too long");

	out = xopen(argv[1], "w+b");
	append(out, argv[2]);
	table.entry = strtoul(argv[5], NULL, 0);

	begin(out, &s[0], PARAMS_ADDR);
	if (fwrite(&zero, sizeof(zero), 1, out) != 1)
		err(1, "write");
	end(out, &s[0]);
	begin(out, &s[1], KERNEL_ADDR);
	append(out, argv[4]);
	end(out, &s[1]);
	begin(out, &s[2], INITRD_ADDR);
	for (i = 7; i < argc; i++)
		initrd += append(out, argv[i]);
	end(out, &s[2]);
	/* One byte more, so that the padding exists. */
	fputc(0, out);
	pad(out, CYLINDER);
	fseek(out, -1, SEEK_CUR);
	fputc(0, out);

	read_setup_header(argv[3], &zero.params);
	zero.params.hdr.type_of_loader = 0xff;
	zero.params.hdr.ramdisk_image = INITRD_ADDR;
	zero.params.hdr.ramdisk_size = initrd;
	zero.params.hdr.cmd_line_ptr = CMDLINE_ADDR;
	strcpy(zero.bytes + (CMDLINE_ADDR - PARAMS_ADDR), argv[6]);
	fseek(out, (long)s[0].lba * SECTOR_SIZE, SEEK_SET);
	fwrite(&zero, sizeof(zero), 1, out);
	fseek(out, BOOT_TABLE, SEEK_SET);
	fwrite(&table, sizeof(table), 1, out);
	if (ferror(out) || fclose(out))
		err(1, "%s", argv[1]);
	return 0;
}
