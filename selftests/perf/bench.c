// SPDX-License-Identifier: GPL-2.0
/*
 * Measures guest operations on both modules in both paging modes, in one boot.
 *
 * Each line "result BENCHMARK PAGING MODULE OPS REPS TICKS EXITS TABLE_BYTES REGION"
 * is one figure: TSC ticks and VM exits per operation, page-table memory of the
 * VM, and the region under which the emulator counted all repetitions. The rest
 * of the output is progress for people.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest_vm.h"

#define POPULATE	(24UL << 20)	/* of guest memory, so that no figure has host faults */
#define TIMEOUT		120		/* seconds for one VM */
#define MAX_REPS	9
#define ROOT_BYTES	4096
#define SHORT_SLOTS	2048		/* stock KVM takes minutes for all there can be */

struct benchmark {
	const char *name;
	u64 ops, short_ops;
	const char *payload;	/* when it has another name */
	unsigned int max_reps;	/* when each takes long */
	unsigned int cpus;	/* 0: one, on a host of any kind; else a host with two */
	bool huge;		/* memory in huge pages of the host's, all of it there */
};

static const struct benchmark benchmarks[] = {
	{ "null_exit", 4000, 1000 },
	{ "pio_user", 2000, 500 },
	{ "mmio_user", 2000, 500 },
	{ "touch_4k", 3072, 1024 },
	{ "touch_2m", 256, 256, .huge = true },
	{ "touch_dense", 8192, 8192 },
	{ "retouch", 3072, 1024 },
	{ "ptemod", 4000, 1000 },
	{ "map_unmap", 4000, 1000 },
	{ "switch_4", 4000, 1000 },
	{ "switch_64", 2560, 640 },
	{ "fork_cow", 40, 12 },
	{ "exec", 40, 12 },
	{ "dirty_arm", 16384, 2048 },
	{ "dirty_get", 16384, 2048 },
	{ "dirty_clear", 16384, 2048 },
	{ "dirty_rewrite", 16384, 2048 },
	/* A few ticks a page: of fewer pages the cost of an ioctl is all one sees. */
	{ "dirty_disarm", 16384, 16384 },
	{ "slot_delete", 4032, 4032 },
	{ "slot_lookup", 2048, 512, .max_reps = 1 },
	{ "slot_lookup_4", 2048, 512 },
	{ "touch_smp1", 4096, 2048, .payload = "touch_smp", .cpus = 1 },
	{ "touch_smp2", 4096, 2048, .payload = "touch_smp", .cpus = 2 },
};

static const struct column {
	const char *module, *node, *paging_name;
	enum uvmm_paging paging;
} columns[] = {
	{ "umbra", UVMM_NODE_UMBRA, "ept", UVMM_PAGING_EPT },
	{ "umbra", UVMM_NODE_UMBRA, "shadow", UVMM_PAGING_SHADOW },
	{ "kvm", UVMM_NODE_KVM, "ept", UVMM_PAGING_EPT },
	{ "kvm", UVMM_NODE_KVM, "shadow", UVMM_PAGING_SHADOW },
};

struct options {
	bool brief, smp;
	const char *only, *column;
	const char *module;
};

struct sample {
	double ticks, exits;
	u64 table_bytes;
};

/* What the mark callback needs and leaves. */
struct measure {
	enum uvmm_paging paging;
	u32 region;
	struct uvmm_stats vm_stats, vcpu_stats[GUEST_MAX_CPUS];
	u64 exits, tables_before, table_bytes;
	int error;
};

static struct guest guest;

static void on_alarm(int sig)
{
	guest_stop(&guest);
}

/*
 * Umbra has a statistic for it; the stock module tells the kernel of its page
 * tables, all but the root of an EPT tree.
 */
static int table_bytes(const struct measure *m, u64 *bytes)
{
	int ret;

	if (!uvmm_stats_read(&m->vm_stats, "table_bytes", bytes))
		return 0;
	ret = uvmm_host_table_bytes(bytes);
	*bytes -= m->tables_before;
	if (m->paging == UVMM_PAGING_EPT)
		*bytes += ROOT_BYTES;
	return ret;
}

static void on_mark(struct guest *g, bool begin)
{
	struct measure *m = g->ctx;
	u64 exits = 0, more = 0;
	unsigned int i;

	if (!begin)
		uvmm_host_mark(0);
	for (i = 0; i < g->n_cpus; i++) {
		m->error |= uvmm_stats_read(&m->vcpu_stats[i], "exits", &more);
		exits += more;
	}
	/* The exit that brings us to the end is none of the operations'. */
	m->exits = begin ? exits : exits - m->exits - 1;
	if (!begin)
		m->error |= table_bytes(m, &m->table_bytes);
	if (begin)
		uvmm_host_mark(m->region);
}

static const struct payload *find_payload(const char *name)
{
	unsigned int i;

	for (i = 0; i < n_payloads; i++)
		if (!strcmp(payloads[i].name, name))
			return &payloads[i];
	return NULL;
}

static int run_prepared(struct measure *m)
{
	unsigned int i;
	int ret;

	ret = uvmm_stats_open(&m->vm_stats, guest.vm.fd);
	if (ret)
		return ret;
	for (i = 0; i < guest.n_cpus; i++) {
		ret = uvmm_stats_open(&m->vcpu_stats[i], guest.cpu[i].vcpu.fd);
		if (ret)
			goto close_stats;
	}

	alarm(TIMEOUT);
	ret = guest_run(&guest) == GUEST_DONE ? m->error : -EPROTO;
	alarm(0);
	if (!ret && guest.ctl->data_sum != guest.data_sum)
		ret = -EILSEQ;

close_stats:
	while (i--)
		uvmm_stats_close(&m->vcpu_stats[i]);
	uvmm_stats_close(&m->vm_stats);
	return ret;
}

/* In the second half of memory are the pages of PAYLOAD_ALIAS. */
static int populate(const struct guest *guest)
{
	bool alias = guest->payload->flags & PAYLOAD_ALIAS;

	return madvise(guest->vm.mem[0].hva, alias ? GUEST_MEM_SIZE : POPULATE,
		       MADV_POPULATE_WRITE);
}

/* One VM, one timed region. */
static int run_once(const struct benchmark *bench, const struct column *column, u32 region,
		    u64 ops, struct sample *sample)
{
	struct measure m = { .region = region, .paging = column->paging };
	int ret;

	guest_use_huge_pages(bench->huge);
	uvmm_host_table_bytes(&m.tables_before);
	ret = guest_create(&guest, column->node, column->paging,
			   find_payload(bench->payload ?: bench->name), bench->cpus ?: 1);
	if (ret)
		return ret;
	guest.pinned = bench->cpus;
	guest.ctl->ops = ops;
	guest.ctx = &m;
	guest.mark = on_mark;
	if (populate(&guest) < 0)
		ret = -errno;
	else
		ret = run_prepared(&m);

	sample->ticks = (double)guest.ctl->ticks / ops;
	sample->exits = (double)m.exits / ops;
	sample->table_bytes = m.table_bytes;
	if (ret == -EPROTO)
		printf("  %s:%u: %s: %#llx, %#llx; exit %s, RIP %#llx\n", guest.ctl->fail_file,
		       guest.ctl->fail_line, guest.ctl->fail_expr, guest.ctl->fail_got,
		       guest.ctl->fail_want, uvmm_exit_name(guest.cpu[0].exit_reason),
		       guest.cpu[0].rip);
	guest_destroy(&guest);
	return ret;
}

static int by_ticks(const void *a, const void *b)
{
	double x = ((const struct sample *)a)->ticks, y = ((const struct sample *)b)->ticks;

	return (x > y) - (x < y);
}

/* Whether the last three samples are within half a percent of each other. */
static bool stable(const struct sample *samples, unsigned int n)
{
	struct sample last[3];

	if (n < ARRAY_SIZE(last))
		return false;
	memcpy(last, samples + n - ARRAY_SIZE(last), sizeof(last));
	qsort(last, ARRAY_SIZE(last), sizeof(last[0]), by_ticks);
	return last[2].ticks - last[0].ticks <= last[1].ticks * 0.005;
}

static int measure(const struct benchmark *bench, const struct column *column, u32 region,
		   bool brief)
{
	unsigned int max_reps = bench->max_reps ?: brief ? 3 : MAX_REPS;
	u64 ops = brief ? bench->short_ops : bench->ops;
	struct sample samples[MAX_REPS], *median;
	unsigned int n = 0;
	int ret;

	printf("%-5s %-6s %-10s ", column->module, column->paging_name, bench->name);
	fflush(stdout);
	do {
		ret = run_once(bench, column, region, ops, &samples[n]);
		if (ret) {
			printf("FAILED: %s\n", strerror(-ret));
			return ret;
		}
		n++;
	} while (n < max_reps && !stable(samples, n));

	qsort(samples, n, sizeof(samples[0]), by_ticks);
	median = &samples[n / 2];
	printf("%5llu ops x %u: %10.1f ticks, %8.2f exits per op, %5llu KiB of tables\n", ops, n,
	       median->ticks, median->exits, median->table_bytes >> 10);
	printf("result %s %s %s %llu %u %.2f %.4f %llu %u\n", bench->name, column->paging_name,
	       column->module, ops, n, median->ticks, median->exits, median->table_bytes, region);
	fflush(stdout);
	return 0;
}

static bool wanted(const char *choice, const char *name)
{
	return !choice || !strcmp(choice, name);
}

/* Those that begin like what was asked for. */
static bool wanted_benchmark(const struct options *opt, const struct benchmark *bench)
{
	if (opt->only && strncmp(bench->name, opt->only, strlen(opt->only)))
		return false;
	return opt->smp == !!bench->cpus;
}

static int run_columns(const struct options *opt)
{
	char name[32];
	unsigned int c, b;
	int failed = 0;

	for (c = 0; c < ARRAY_SIZE(columns); c++) {
		snprintf(name, sizeof(name), "%s-%s", columns[c].module, columns[c].paging_name);
		if (!wanted(opt->column, name) && !wanted(opt->column, columns[c].module))
			continue;
		for (b = 0; b < ARRAY_SIZE(benchmarks); b++)
			if (wanted_benchmark(opt, &benchmarks[b]))
				failed |= measure(&benchmarks[b], &columns[c], 1 + c * 64 + b,
						  opt->brief);
	}
	return failed ? 1 : 0;
}

static void usage(void)
{
	fputs("Usage: bench [--short] [--smp] [--marks] [--module UMBRA.KO] [--only NAME]\n"
	      "             [--column umbra|kvm|umbra-ept|umbra-shadow|...]\n", stderr);
	exit(2);
}

static void parse(struct options *opt, int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "short", no_argument, NULL, 's' },
		{ "smp", no_argument, NULL, 'p' },
		{ "marks", no_argument, NULL, 'm' },
		{ "only", required_argument, NULL, 'o' },
		{ "column", required_argument, NULL, 'c' },
		{ "module", required_argument, NULL, 'u' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == 's') {
			opt->brief = true;
		} else if (c == 'p') {
			opt->smp = true;
		} else if (c == 'o') {
			opt->only = optarg;
		} else if (c == 'c') {
			opt->column = optarg;
		} else if (c == 'u') {
			opt->module = optarg;
		} else if (c == 'm') {
			if (uvmm_host_mark_init())
				perror("bench: ioperm");
		} else {
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_alarm };	/* no SA_RESTART */
	struct options opt = { };
	int ret;

	parse(&opt, argc, argv);
	sigaction(SIGALRM, &sa, NULL);
	if (opt.brief)
		guest_use_slots(SHORT_SLOTS);
	if (opt.module) {
		ret = uvmm_host_load_umbra(opt.module);
		if (ret) {
			fprintf(stderr, "bench: %s: %s\n", opt.module, strerror(-ret));
			return 1;
		}
	}
	return run_columns(&opt);
}
