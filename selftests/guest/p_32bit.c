// SPDX-License-Identifier: GPL-2.0
/* Payloads of guests outside long mode: from long mode to p32.c and back. */
#include "rt.h"
#include "mode32.h"

#define CR0_PE		BIT(0)
#define CR4_PSE		BIT(4)
#define CR4_PAE		BIT(5)
#define EFER_LME	BIT(8)
#define DATA_PAGES	1024

/* Compiled for 32 bits: their addresses are all that can be used here. */
#define DECLARE32(name) extern char name[] __asm__("_" #name)

static struct mode32 mode32[GUEST_MAX_CPUS];
static struct env32 env32[GUEST_MAX_CPUS];

/* Run @fn with the control registers of @m, which are for it alone. */
static u32 run32(struct mode32 *m, const char *fn, u64 cr0)
{
	u64 id = this_cpu()->id;

	m->fn = (u64)fn;
	m->arg = (u64)&env32[id];
	m->esp = (u64)stacks32 + ((id + 1) << GUEST_STACK_SHIFT);
	m->cr0 = cr0;
	mode32_enter(m);
	trap_init(id);
	return m->result;
}

static void run_mode(const char *setup, const char *payload, bool pae)
{
	u64 cr0 = read_cr0(), pages = data_alloc(DATA_PAGES);
	struct mode32 *m = &mode32[0];
	struct env32 *env = &env32[0];

	env->ops = ctl->ops;
	env->table_next = TABLES32_GPA;
	env->data_next = pages;
	env->data_end = pages + DATA_PAGES * PAGE_SIZE;
	env->has_smep = cpu_has(7, 1, 7);
	env->has_pge = cpu_has(1, 3, 13);
	/* Stock KVM reports fetches without PAE, too, when it is set. */
	m->efer = pae ? rdmsr(MSR_EFER) & EFER_NX : 0;
	env->root = run32(m, setup, cr0 & ~CR0_PG);
	m->cr4 = pae ? CR4_PAE : 0;
	m->cr3 = env->root;
	CHECK_EQ(run32(m, payload, cr0), 0);
	note(env->checksum);
}

/* The other CPU enters the same tables when they are there. */
static void join_mode(const char *payload)
{
	while (!READ_ONCE(env32[0].shared))
		call(CALL_YIELD, 0, 0);
	mode32[1] = mode32[0];
	env32[1] = env32[0];
	env32[1].id = 1;
	CHECK_EQ(run32(&mode32[1], payload, read_cr0()), 0);
}

DECLARE32(legacy_setup);
DECLARE32(pae_setup);

/* With two CPUs the second comes to what the first has set up. */
static void run_or_join(const char *setup, const char *payload, bool pae)
{
	if (this_cpu()->id)
		join_mode(payload);
	else
		run_mode(setup, payload, pae);
}

#define DEFINE(name)						\
	DECLARE32(legacy_##name);				\
	DECLARE32(pae_##name);					\
	void payload_legacy_##name(void)			\
	{							\
		run_or_join(legacy_setup, legacy_##name, false); \
	}							\
	void payload_pae_##name(void)				\
	{							\
		run_or_join(pae_setup, pae_##name, true);	\
	}

DEFINE(touch)
DEFINE(perm)
DEFINE(reserved)
DEFINE(fork)
DEFINE(self_map)
DEFINE(recycle)
DEFINE(shootdown)
DEFINE(task_calls)
DEFINE(task_16bit)
DEFINE(task_events)
DEFINE(task_faults)
DEFINE(task_trap)

DECLARE32(pae_pdptes);
void payload_pae_pdptes(void)
{
	run_mode(pae_setup, pae_pdptes, true);
}
