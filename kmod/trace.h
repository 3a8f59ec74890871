/* SPDX-License-Identifier: GPL-2.0-only */
/* ktdump:capture, in tracefs events/ktdump/capture: one for each snapshot. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ktdump

#if !defined(KTD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KTD_TRACE_H

#include <linux/tracepoint.h>

#include "buffer.h"
#include "capture.h"

/* The CPUs run again. Any context. */
TRACE_EVENT(capture,

	TP_PROTO(const struct ktd_snapshot *snap, const struct ktd_trigger *trig),

	TP_ARGS(snap, trig),

	TP_STRUCT__entry(
		__field(u32,		snapshot)
		__array(char,		trigger,	8)
		__field(u32,		exit_kind)
		__field(u64,		held_ns)
		__field(u64,		rendezvous_ns)
		__field(u64,		bytes)
		__field(u32,		cpus_parked)
	),

	TP_fast_assign(
		__entry->snapshot	= snap->nr;
		strscpy(__entry->trigger, trig->kind, sizeof(__entry->trigger));
		__entry->exit_kind	= trig->exit_kind;
		__entry->held_ns	= snap->freeze.released_ns - snap->freeze.start_ns;
		__entry->rendezvous_ns	= snap->freeze.parked_ns - snap->freeze.start_ns;
		__entry->bytes		= snap->rows_len;
		__entry->cpus_parked	= snap->freeze.parked;
	),

	TP_printk("snapshot=%u trigger=%s exit_kind=%u held_ns=%llu rendezvous_ns=%llu bytes=%llu cpus_parked=%u",
		  __entry->snapshot, __entry->trigger, __entry->exit_kind,
		  __entry->held_ns, __entry->rendezvous_ns, __entry->bytes, __entry->cpus_parked)
);

#endif

/* found through the include path: kmod/ is in it, wherever M= and MO= are */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
