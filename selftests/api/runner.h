/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that runs in a thread of its own while the test does things to it. */
#ifndef RUNNER_H
#define RUNNER_H

#include <pthread.h>
#include <stdatomic.h>
#include "api.h"

struct runner {
	struct uvmm_vcpu *vcpu;
	pthread_t thread;
	atomic_bool stop;
	atomic_ulong failures;	/* KVM_RUN could not have its memory, and was tried again */
	long error;		/* what ended it before its time: -errno or 1000 + exit reason */
};

int runner_begin(struct runner *runner, struct uvmm_vcpu *vcpu);
long runner_end(struct runner *runner);
u64 now_ms(void);

#endif
