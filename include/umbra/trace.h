/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events, under /sys/kernel/tracing/events/umbra. What KVM traces as well has
 * the name that it has there, but for the prefix. Switched off they cost one
 * instruction that does nothing, and less where an exit is handled at once.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM umbra

#if !defined(_UMBRA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _UMBRA_TRACE_H

#include <linux/tracepoint.h>

#ifndef UMBRA_TRACE_DECLARATIONS
#define UMBRA_TRACE_DECLARATIONS
/* Called as the first user of the event comes, and as the last one goes. */
int umbra_vmx_trace_exits(void);
void umbra_vmx_untrace_exits(void);
#endif

/**
 * trace_umbra_entry() - a vCPU is about to enter the guest
 * @id: the vCPU's
 * @rip: where
 */
TRACE_EVENT(umbra_entry,
	TP_PROTO(unsigned int id, unsigned long rip),
	TP_ARGS(id, rip),
	TP_STRUCT__entry(
		__field(unsigned int, id)
		__field(unsigned long, rip)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->rip = rip;
	),
	TP_printk("vcpu %u rip 0x%lx", __entry->id, __entry->rip)
);

/**
 * trace_umbra_exit() - a vCPU has left the guest
 * @reason: basic exit reason, and the bit of a failed entry
 * @info: exit qualification
 * @vectoring: IDT-vectoring information
 */
TRACE_EVENT_FN(umbra_exit,
	TP_PROTO(unsigned int id, u32 reason, unsigned long rip, unsigned long info, u32 vectoring),
	TP_ARGS(id, reason, rip, info, vectoring),
	TP_STRUCT__entry(
		__field(unsigned int, id)
		__field(u32, reason)
		__field(unsigned long, rip)
		__field(unsigned long, info)
		__field(u32, vectoring)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->reason = reason;
		__entry->rip = rip;
		__entry->info = info;
		__entry->vectoring = vectoring;
	),
	TP_printk("vcpu %u reason %u%s rip 0x%lx info 0x%lx vectoring 0x%x", __entry->id,
		  __entry->reason & 0xffff, __entry->reason >> 31 ? " (entry failed)" : "",
		  __entry->rip, __entry->info, __entry->vectoring),
	umbra_vmx_trace_exits, umbra_vmx_untrace_exits
);

/**
 * trace_umbra_page_fault() - a fault was handled
 * @address: gpa of an EPT fault, gva of a shadow one
 * @error: UMBRA_ACC_*, which is a page fault's error code
 * @result: enum umbra_fault_result or -errno
 */
TRACE_EVENT(umbra_page_fault,
	TP_PROTO(unsigned int id, u64 address, u64 gpa, u32 error, int result),
	TP_ARGS(id, address, gpa, error, result),
	TP_STRUCT__entry(
		__field(unsigned int, id)
		__field(u64, address)
		__field(u64, gpa)
		__field(u32, error)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->address = address;
		__entry->gpa = gpa;
		__entry->error = error;
		__entry->result = result;
	),
	TP_printk("vcpu %u address 0x%llx gpa 0x%llx error 0x%x result %d", __entry->id,
		  __entry->address, __entry->gpa, __entry->error, __entry->result)
);

/**
 * trace_umbra_tlb_flush() - all vCPUs were made to look for flushes
 * @generation: of the newest debt
 * @kicked: CPUs that had to leave the guest for it
 */
TRACE_EVENT(umbra_tlb_flush,
	TP_PROTO(u64 generation, unsigned int kicked),
	TP_ARGS(generation, kicked),
	TP_STRUCT__entry(
		__field(u64, generation)
		__field(unsigned int, kicked)
	),
	TP_fast_assign(
		__entry->generation = generation;
		__entry->kicked = kicked;
	),
	TP_printk("generation %llu kicked %u", __entry->generation, __entry->kicked)
);

/**
 * trace_umbra_slot() - a set with a slot was published, or one without
 * @npages: 0: the slot is gone
 */
TRACE_EVENT(umbra_slot,
	TP_PROTO(unsigned int id, u32 flags, u64 gfn, u64 npages, unsigned long hva),
	TP_ARGS(id, flags, gfn, npages, hva),
	TP_STRUCT__entry(
		__field(unsigned int, id)
		__field(u32, flags)
		__field(u64, gfn)
		__field(u64, npages)
		__field(unsigned long, hva)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->flags = flags;
		__entry->gfn = gfn;
		__entry->npages = npages;
		__entry->hva = hva;
	),
	TP_printk("slot %u flags 0x%x gfn 0x%llx npages 0x%llx hva 0x%lx", __entry->id,
		  __entry->flags, __entry->gfn, __entry->npages, __entry->hva)
);

DECLARE_EVENT_CLASS(umbra_range,
	TP_PROTO(u64 start, u64 end),
	TP_ARGS(start, end),
	TP_STRUCT__entry(
		__field(u64, start)
		__field(u64, end)
	),
	TP_fast_assign(
		__entry->start = start;
		__entry->end = end;
	),
	TP_printk("start 0x%llx end 0x%llx", __entry->start, __entry->end)
);

/**
 * trace_umbra_zap() - all mappings of a range of frames go, as a slot does
 * @start: first gfn
 * @end: first gfn after it
 */
DEFINE_EVENT(umbra_range, umbra_zap,
	TP_PROTO(u64 start, u64 end),
	TP_ARGS(start, end)
);

/**
 * trace_umbra_unmap_hva_range() - the host takes memory back
 * @start: first host address
 * @end: first after it
 */
DEFINE_EVENT(umbra_range, umbra_unmap_hva_range,
	TP_PROTO(u64 start, u64 end),
	TP_ARGS(start, end)
);

/**
 * trace_umbra_age_hva() - the host asks whether memory was used, and forgets it
 */
DEFINE_EVENT(umbra_range, umbra_age_hva,
	TP_PROTO(u64 start, u64 end),
	TP_ARGS(start, end)
);

/**
 * trace_umbra_test_age_hva() - the host asks whether memory was used
 */
DEFINE_EVENT(umbra_range, umbra_test_age_hva,
	TP_PROTO(u64 start, u64 end),
	TP_ARGS(start, end)
);

#endif /* _UMBRA_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH umbra
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
