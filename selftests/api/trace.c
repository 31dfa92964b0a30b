// SPDX-License-Identifier: GPL-2.0
/* Trace events: each is seen when what it is named for happens, and only if asked for. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "api.h"
#include <kselftest_harness.h>

#define TRACING	"/sys/kernel/tracing"
#define SLOT	7
#define GPA	0x800000UL

static bool put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static char buffer[1 << 20];

static const char *traced(void)
{
	int fd = open(TRACING "/trace", O_RDONLY | O_CLOEXEC);
	ssize_t len = 0, more;

	while (fd >= 0 && (more = read(fd, buffer + len, sizeof(buffer) - 1 - len)) > 0)
		len += more;
	if (fd >= 0)
		close(fd);
	buffer[len] = '\0';
	return buffer;
}

FIXTURE(trace) {
	struct machine m;
	u8 *mem;
};

FIXTURE_SETUP(trace)
{
	if (access(TRACING "/events", F_OK))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (access(TRACING "/events/umbra", F_OK))
		SKIP(return, "no tracefs, or no events of umbra");
	ASSERT_EQ(0, machine_start(&self->m, true));
	self->mem = api_pages(4);
	ASSERT_TRUE(put(TRACING "/events/umbra/enable", "0"));
	ASSERT_TRUE(put(TRACING "/trace", "\n"));
	ASSERT_TRUE(put(TRACING "/tracing_on", "1"));
}

FIXTURE_TEARDOWN(trace)
{
	put(TRACING "/events/umbra/enable", "0");
	put(TRACING "/trace", "\n");
	machine_stop(&self->m);
}

/* Something of everything; CPUID is handled where entries and exits are counted. */
static bool live(struct machine *m, u8 *mem)
{
	bool done = !api_slot(m->vm.fd, SLOT, 0, GPA, 4 * PAGE, mem);
	u8 value;

	done &= machine_poke(m, GPA, 1) == KVM_EXIT_HLT;
	CODE(m, 0x31, 0xc0, 0x0f, 0xa2, 0xf4);	/* xor %eax, %eax; cpuid; hlt */
	done &= machine_enter(m) == KVM_EXIT_HLT;
	done &= !madvise(mem, PAGE, MADV_DONTNEED);
	done &= machine_peek(m, GPA, &value) == KVM_EXIT_HLT;
	return done && !api_slot(m->vm.fd, SLOT, 0, 0, 0, NULL);
}

TEST_F(trace, events_are_seen)
{
	static const char * const expected[] = {
		"umbra_entry: vcpu 0 rip 0x8000",
		"umbra_exit: vcpu 0 reason 10 ",
		"umbra_exit: vcpu 0 reason 12 ",
		"gpa 0x800000 error ",
		"umbra_tlb_flush: generation ",
		"umbra_slot: slot 7 flags 0x0 gfn 0x800 npages 0x4 ",
		"umbra_slot: slot 7 flags 0x0 gfn 0x800 npages 0x0 ",
		"umbra_zap: start 0x800 end 0x804",
		"umbra_unmap_hva_range: start 0x",
	};
	const char *text;
	unsigned int i;

	ASSERT_TRUE(put(TRACING "/events/umbra/enable", "1"));
	ASSERT_TRUE(live(&self->m, self->mem));
	text = traced();
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		bool seen = strstr(text, expected[i]);

		EXPECT_TRUE(seen) {
			TH_LOG("event %u was not seen", i);
		}
	}
}

TEST_F(trace, nothing_is_seen_unasked)
{
	ASSERT_TRUE(put(TRACING "/events/umbra/enable", "1"));
	ASSERT_TRUE(put(TRACING "/events/umbra/enable", "0"));
	ASSERT_TRUE(put(TRACING "/trace", "\n"));
	ASSERT_TRUE(live(&self->m, self->mem));
	EXPECT_EQ(NULL, strstr(traced(), "umbra_"));
}

TEST_HARNESS_MAIN
