// SPDX-License-Identifier: GPL-2.0
/*
 * Random bytes as instructions, in every mode, with random registers, segments
 * and devices. The machine's ops trap on accesses that break their contract;
 * sanitizers watch the rest.
 *
 *	test_fuzz [STREAMS [SEED]]
 *
 * With UNIT_FUZZ it is a target of libFuzzer's: the first 8 bytes of an input are
 * the seed for registers, segments and devices, the rest is the code.
 */
#include <linux/kernel.h>
#include <stdlib.h>
#include <string.h>
#include "forms.h"
#include "machine.h"
#include "tap.h"

/* More exits than one call can need. */
#define MAX_EXITS	20000

static struct machine m;
static unsigned long results[UMBRA_EMU_RETRY + 1];

static u64 draw_address(void)
{
	static const u64 places[] = { DATA, DATA + PAGE, READONLY, ROM, DEVICE, DEVICE + PAGE,
		RAM_DEVICE + PAGE, DEVICE_RAM + PAGE, 0, 1ull << 32, 1ull << 47, 1ull << 63 };

	if (rnd_below(4) == 0)
		return rnd();
	return places[rnd_below(ARRAY_SIZE(places))] + (s64)rnd_below(64) - 32;
}

static void draw_state(void)
{
	struct umbra_emu *emu = &m.emu;
	unsigned int i;

	machine_mode(&m, rnd_below(UMBRA_EMU_LONG64 + 1));
	for (i = 0; i < 16; i++)
		emu->regs[i] = draw_address();
	if (rnd() & 1)
		emu->regs[UMBRA_EMU_RCX] = rnd_below(2000);
	emu->rflags = rnd() & 0x3fffff;
	emu->cpl = rnd_below(4);
	emu->align_check = rnd_below(8) == 0;
	emu->va_bits = rnd() & 1 ? 48 : 57;
	for (i = 0; i < 6; i++) {
		if (rnd_below(4) || i == UMBRA_EMU_CS)
			continue;
		m.segs[i].base = draw_address();
		m.segs[i].limit = rnd();
		m.segs[i].ar = rnd() & 0x1f0ff;
	}
	emu->rip += rnd() & 1 ? PAGE - rnd_below(15) : 2 * PAGE - rnd_below(30) - 1;
	emu->pio.data = m.pio;
	emu->pio.capacity = rnd_below(4) ? PAGE : rnd_below(8);
	m.no_sse = rnd_below(8) == 0;
	m.races = rnd_below(8) ? 0 : rnd_below(40);
	m.retry_reads = rnd_below(8) == 0;
}

/* Random bytes; or a known form with a random byte in it. */
static void draw_code(void)
{
	struct trial t = { .form = &forms[rnd_below(nr_forms)], .mode = m.emu.mode };
	u64 base = m.emu.mode == UMBRA_EMU_LONG64 ? 0 : m.segs[UMBRA_EMU_CS].base;
	u64 gva = base + m.emu.rip;
	unsigned int i;

	for (i = 0; i < 16; i++)
		t.code[i % 15] = rnd();
	if (rnd_below(4)) {
		memcpy(t.segs, m.segs, sizeof(t.segs));
		t.target = draw_address();
		if (generate(&t))
			memcpy(m.emu.regs, t.regs, sizeof(t.regs));
		if (rnd() & 1)
			t.code[rnd_below(15)] = rnd();
	}
	for (i = 0; i < 15 && gva + i < CODE + 2 * PAGE; i++)
		*machine_at(&m, gva + i) = t.code[i];
}

/* Return: false when a rule is broken. */
static bool run_one(void)
{
	enum umbra_emu_result result;
	unsigned int exits = 0;
	u64 start = m.emu.rip;

	umbra_emulate_decode_only(&m.emu);
	result = umbra_emulate(&m.emu);
	while (result == UMBRA_EMU_MMIO || result == UMBRA_EMU_PIO) {
		if (m.emu.mmio.len < 1 || m.emu.mmio.len > 8)
			if (result == UMBRA_EMU_MMIO)
				return false;
		if (result == UMBRA_EMU_PIO && m.emu.pio.count * m.emu.pio.size > PAGE)
			return false;
		if (++exits > MAX_EXITS)
			return false;
		if (rnd_below(100) == 0) {
			umbra_emulate_cancel(&m.emu);
			break;
		}
		result = umbra_emulate_resume(&m.emu);
	}
	results[result]++;
	if (result == UMBRA_EMU_DONE)
		return m.emu.retired;
	return m.emu.rip == start;
}

#ifdef UNIT_FUZZ

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u64 seed, base;
	size_t i;

	if (size < sizeof(seed))
		return -1;
	memcpy(&seed, data, sizeof(seed));
	if (!m.emu.ops)
		machine_init(&m);
	rnd_seed(seed);
	draw_state();
	base = m.emu.mode == UMBRA_EMU_LONG64 ? 0 : m.segs[UMBRA_EMU_CS].base;
	for (i = 8; i < size && base + m.emu.rip + i - 8 < CODE + 2 * PAGE; i++)
		*machine_at(&m, base + m.emu.rip + i - 8) = data[i];
	if (!run_one())
		abort();
	return 0;
}

#else

int main(int argc, char **argv)
{
	unsigned long streams = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	unsigned long bad = 0;
	unsigned long i;

	rnd_seed(argc > 2 ? strtoull(argv[2], NULL, 0) : 1);
	machine_init(&m);
	for (i = 0; i < streams; i++) {
		draw_state();
		draw_code();
		bad += !run_one();
	}
	printf("# done %lu, fault %lu, unknown %lu, retry %lu\n", results[UMBRA_EMU_DONE],
	       results[UMBRA_EMU_FAULT], results[UMBRA_EMU_UNKNOWN], results[UMBRA_EMU_RETRY]);
	ok(!bad, "%lu random instruction streams, %lu broke the rules", streams, bad);
	return tap_done();
}

#endif
