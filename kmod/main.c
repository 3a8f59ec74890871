// SPDX-License-Identifier: GPL-2.0-only
/*
 * ktdump: keeps the state of a dying sched_ext scheduler. Parameters, load and
 * unload; see ktdump.h for who does what.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#include "blob.h"
#include "capture.h"
#include "channel.h"
#include "demand.h"
#include "early.h"
#include "late.h"
#include "perf.h"
#include "point.h"
#include "sched_timeline.h"
#include "stream.h"
#include "ticker.h"
#include "timeline.h"
#include "trigger.h"

unsigned int ktd_cid = KTD_DEFAULT_CID;
module_param_named(cid, ktd_cid, uint, 0444);
MODULE_PARM_DESC(cid, "vsock CID of the collector (default 2: the host)");

unsigned int ktd_port = KTD_DEFAULT_PORT;
module_param_named(port, ktd_port, uint, 0444);
MODULE_PARM_DESC(port, "vsock port of the collector (default 19284)");

unsigned int ktd_freeze_max_ms = 100;
module_param_named(freeze_max_ms, ktd_freeze_max_ms, uint, 0444);
MODULE_PARM_DESC(freeze_max_ms, "longest freeze, in milliseconds (default 100, 1 to 250)");

unsigned int ktd_buf_mib = 16;
module_param_named(buf_mib, ktd_buf_mib, uint, 0444);
MODULE_PARM_DESC(buf_mib, "snapshot buffer, in MiB, allocated at load (default 16, 1 to 4096)");

unsigned int ktd_frame_kib = KTD_FRAME_DEFAULT / 1024;
module_param_named(frame_kib, ktd_frame_kib, uint, 0444);
MODULE_PARM_DESC(frame_kib, "largest frame sent, in KiB (default 16, 16 to 28)");

unsigned int ktd_max_tasks = 16384;
module_param_named(max_tasks, ktd_max_tasks, uint, 0444);
MODULE_PARM_DESC(max_tasks, "most tasks in a snapshot (default 16384, 64 to 1048576)");

unsigned int ktd_max_list = 4096;
module_param_named(max_list, ktd_max_list, uint, 0444);
MODULE_PARM_DESC(max_list, "most tasks taken from one run queue or DSQ (default 4096, 16 to 1048576)");

unsigned int ktd_max_stacks = 64;
module_param_named(max_stacks, ktd_max_stacks, uint, 0444);
MODULE_PARM_DESC(max_stacks, "most stacks of waiting tasks, longest-waiting first (default 64, 0 to 1024)");

unsigned int ktd_max_maps = 8192;
module_param_named(max_maps, ktd_max_maps, uint, 0444);
MODULE_PARM_DESC(max_maps, "most BPF maps in a snapshot (default 8192, 64 to 65536)");

unsigned int ktd_max_map_entries = 65536;
module_param_named(max_map_entries, ktd_max_map_entries, uint, 0444);
MODULE_PARM_DESC(max_map_entries, "most elements taken from one map (default 65536, 0 to 16777216)");

unsigned int ktd_max_map_kib;
module_param_named(max_map_kib, ktd_max_map_kib, uint, 0444);
MODULE_PARM_DESC(max_map_kib, "most content taken from one map, in KiB (default 0: its share of the buffer, 0 to 4194304)");

unsigned int ktd_max_arena_pages = 16384;
module_param_named(max_arena_pages, ktd_max_arena_pages, uint, 0444);
MODULE_PARM_DESC(max_arena_pages, "most pages taken from one arena (default 16384, 0 to 1048576)");

unsigned int ktd_early_percent = 50;
module_param_named(early_percent, ktd_early_percent, uint, 0444);
MODULE_PARM_DESC(early_percent, "early snapshot when a task has waited so much of the watchdog's timeout (default 50, 0 none, to 90)");

unsigned int ktd_sample_ms = 100;
module_param_named(sample_ms, ktd_sample_ms, uint, 0444);
MODULE_PARM_DESC(sample_ms, "event counters are sampled, and ages looked at, every so many milliseconds (default 100, 10 to 10000; 0: no samples)");

unsigned int ktd_interval_ms;
module_param_named(interval_ms, ktd_interval_ms, uint, 0444);
MODULE_PARM_DESC(interval_ms, "a snapshot of the living scheduler every so many milliseconds (default 0: none, to 86400000)");

unsigned int ktd_point_ms = 1000;
module_param_named(point_ms, ktd_point_ms, uint, 0444);
MODULE_PARM_DESC(point_ms, "least time between two snapshots that BPF programs ask for, in milliseconds (default 1000, 0 to 86400000)");

unsigned int ktd_sched_timeline_kib;
module_param_named(sched_timeline_kib, ktd_sched_timeline_kib, uint, 0444);
MODULE_PARM_DESC(sched_timeline_kib, "memory per CPU for the scheduler timeline, in KiB, 16 events each (default 0: none, 4 to 65536)");

unsigned int ktd_sched_timeline_ms = 1000;
module_param_named(sched_timeline_ms, ktd_sched_timeline_ms, uint, 0444);
MODULE_PARM_DESC(sched_timeline_ms, "how much of the scheduler timeline a snapshot has, in milliseconds (default 1000, 1 to 600000)");

unsigned int ktd_max_code_kib = 4096;
module_param_named(max_code_kib, ktd_max_code_kib, uint, 0444);
MODULE_PARM_DESC(max_code_kib, "most instructions of BPF programs taken, in KiB (default 4096, 0 to 65536)");

static char *trigger = "error";
module_param(trigger, charp, 0444);
MODULE_PARM_DESC(trigger, "which exits make a snapshot: error (default) or any");
bool ktd_trigger_any;

static char *hook = "auto";
module_param(hook, charp, 0444);
MODULE_PARM_DESC(hook, "how exits are seen: auto (default), tracepoint, kprobe or worker (late, but everywhere)");

static char *sym;
module_param(sym, charp, 0444);
MODULE_PARM_DESC(sym, "addresses of kernel data, name:hex,... from /proc/kallsyms, where kprobes cannot tell them");

static bool prog_stats = true;
module_param(prog_stats, bool, 0444);
MODULE_PARM_DESC(prog_stats, "keep BPF run statistics on while loaded, as kernel.bpf_stats_enabled does; without them run counts are 0 (default Y)");

static bool perf = true;
module_param(perf, bool, 0444);
MODULE_PARM_DESC(perf, "count cycles, instructions, cache and branch misses of every CPU, where there is a PMU (default Y)");

struct ktd_offsets ktd_off;

static const struct limit {
	const char	*name;
	unsigned int	*value;
	unsigned int	min, max;
} limits[] = {
	{ "port", &ktd_port, 1, U32_MAX - 1 },
	{ "freeze_max_ms", &ktd_freeze_max_ms, 1, KTD_FREEZE_LIMIT_MS },
	{ "buf_mib", &ktd_buf_mib, 1, 4096 },
	{ "frame_kib", &ktd_frame_kib, KTD_FRAME_DEFAULT / 1024, 28 },
	{ "max_tasks", &ktd_max_tasks, 64, 1048576 },
	{ "max_list", &ktd_max_list, 16, 1048576 },
	{ "max_stacks", &ktd_max_stacks, 0, 1024 },
	{ "max_maps", &ktd_max_maps, 64, 65536 },
	{ "max_map_entries", &ktd_max_map_entries, 0, 16777216 },
	{ "max_map_kib", &ktd_max_map_kib, 0, 4194304 },
	{ "max_arena_pages", &ktd_max_arena_pages, 0, 1048576 },
	{ "early_percent", &ktd_early_percent, 0, 90 },
	{ "sample_ms", &ktd_sample_ms, 0, 10000 },
	{ "interval_ms", &ktd_interval_ms, 0, 86400000 },
	{ "point_ms", &ktd_point_ms, 0, 86400000 },
	{ "sched_timeline_kib", &ktd_sched_timeline_kib, 0, 65536 },
	{ "sched_timeline_ms", &ktd_sched_timeline_ms, 1, 600000 },
	{ "max_code_kib", &ktd_max_code_kib, 0, 65536 },
};

static int check_params(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		const struct limit *l = &limits[i];

		if (*l->value >= l->min && *l->value <= l->max)
			continue;
		pr_err("parameter %s=%u: must be %u to %u\n", l->name, *l->value,
		       l->min, l->max);
		return -EINVAL;
	}
	if (ktd_sample_ms && ktd_sample_ms < 10) {
		pr_err("parameter sample_ms=%u: must be 0 or 10 to 10000\n", ktd_sample_ms);
		return -EINVAL;
	}
	if (ktd_sched_timeline_kib && ktd_sched_timeline_kib < 4) {
		pr_err("parameter sched_timeline_kib=%u: must be 0 or 4 to 65536\n",
		       ktd_sched_timeline_kib);
		return -EINVAL;
	}
	ktd_trigger_any = !strcmp(trigger, "any");
	if (!ktd_trigger_any && strcmp(trigger, "error")) {
		pr_err("parameter trigger=%s: must be error or any\n", trigger);
		return -EINVAL;
	}
	if (strcmp(hook, "auto") && strcmp(hook, "tracepoint") && strcmp(hook, "kprobe") &&
	    strcmp(hook, "worker")) {
		pr_err("parameter hook=%s: must be auto, tracepoint, kprobe or worker\n", hook);
		return -EINVAL;
	}
	return 0;
}

/* A module built with other headers than this kernel's would read nonsense. */
static int check_headers(void)
{
	static const struct {
		enum ktd_member_id	m;
		size_t			off;
	} known[] = {
		{ KTD_M_TASK_PID, offsetof(struct task_struct, pid) },
		{ KTD_M_TASK_COMM, offsetof(struct task_struct, comm) },
		{ KTD_M_TASK_PRIO, offsetof(struct task_struct, prio) },
		{ KTD_M_TASK_ON_CPU, offsetof(struct task_struct, on_cpu) },
		{ KTD_M_TASK_SIGNAL, offsetof(struct task_struct, signal) },
		{ KTD_M_TASK_REAL_PARENT, offsetof(struct task_struct, real_parent) },
		{ KTD_M_TASK_CPUS_PTR, offsetof(struct task_struct, cpus_ptr) },
		{ KTD_M_TASK_NVCSW, offsetof(struct task_struct, nvcsw) },
		{ KTD_M_TASK_REAL_CRED, offsetof(struct task_struct, real_cred) },
		{ KTD_M_TASK_STIME, offsetof(struct task_struct, stime) },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (!ktd_have(known[i].m) || ktd_off.place[known[i].m].off == known[i].off)
			continue;
		pr_err("built with other kernel headers than this kernel's: task_struct.%s is at %u, not %zu; rebuild against /lib/modules/$(uname -r)/build\n",
		       ktd_member_path(known[i].m), ktd_off.place[known[i].m].off,
		       known[i].off);
		return -ENOEXEC;
	}
	return 0;
}

static int resolve_offsets(void)
{
	struct ktd_btf btf;
	size_t size = 0;
	void *blob = ktd_blob_init(&size);
	int ret;

	if (IS_ERR(blob)) {
		pr_err("cannot read %s (error %ld): the kernel needs CONFIG_DEBUG_INFO_BTF\n",
		       KTD_BTF_PATH, PTR_ERR(blob));
		return PTR_ERR(blob);
	}
	ret = ktd_btf_init(&btf, blob, size);
	if (ret) {
		pr_err("cannot parse %s (error %d)\n", KTD_BTF_PATH, ret);
		goto err_free;
	}
	ktd_offsets_resolve(&ktd_off, &btf);
	ret = ktd_enums_init(&btf);
	ktd_btf_exit(&btf);
err_free:
	vfree(blob);
	return ret;
}

static void tell_missing(void)
{
	char why[256];
	int i;

	for (i = 0; i < KTD_NR_GROUPS; i++) {
		if (!ktd_off.group_missing[i])
			continue;
		ktd_group_missing(&ktd_off, i, why, sizeof(why));
		pr_warn("missing offset group %s: %s\n", ktd_group_name(i), why);
	}
	for (i = 0; i < KTD_NR_SYMBOLS; i++) {
		if (!ktd_sym[i] && *ktd_symbol_lost(i))
			pr_warn("missing symbol %s: reports lack %s (give sym=%s:0x... from /proc/kallsyms)\n",
				ktd_symbol_name(i), ktd_symbol_lost(i), ktd_symbol_name(i));
	}
}

static int __init ktdump_init(void)
{
	int ret;

	ret = check_params();
	if (ret)
		return ret;
	ret = ktd_symbols_resolve(sym);
	if (ret)
		return ret;
	ret = resolve_offsets();
	if (ret)
		goto err_enums;
	if (!ktd_have(KTD_M_TASK_SCX)) {
		pr_err("this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT is off): nothing to do\n");
		ret = -EOPNOTSUPP;
		goto err_enums;
	}
	ret = check_headers();
	if (ret)
		goto err_enums;
	tell_missing();

	ret = ktd_buffer_init();
	if (ret) {
		pr_err("no memory for a buffer of %u MiB: load with a smaller buf_mib\n",
		       ktd_buf_mib);
		goto err_enums;
	}
	ret = ktd_timeline_init();
	if (ret)
		goto err_buffer;
	ret = ktd_sched_timeline_init();
	if (ret) {
		pr_err("no memory for a scheduler timeline of %u KiB per CPU: load with a smaller sched_timeline_kib\n",
		       ktd_sched_timeline_kib);
		goto err_timeline;
	}
	ret = ktd_capture_init();
	if (ret)
		goto err_sched_timeline;
	ret = ktd_freeze_init();
	if (ret)
		goto err_capture;
	if (perf)
		ktd_perf_init();
	ret = ktd_channel_init();
	if (ret)
		goto err_freeze;
	ktd_early_init();
	ret = ktd_trigger_init(hook);
	if (ret) {
		pr_err("no exit hook (hook=%s, error %d): this kernel has neither the tracepoint sched_ext_exit nor a function that can be probed\n",
		       hook, ret);
		goto err_channel;
	}
	ret = ktd_stream_init();
	if (ret) {
		pr_err("no /dev/ktdump (error %d)\n", ret);
		goto err_trigger;
	}
	if (prog_stats)
		static_key_slow_inc(&bpf_stats_enabled_key.key);
	ktd_ticker_init();
	ktd_demand_open(true);
	ktd_point_init();
	pr_info("version %s ready: %s, freeze at most %u ms, buffer %u MiB, collector vsock:%u:%u\n",
		KTD_VERSION, ktd_trigger_hook(), ktd_freeze_max_ms, ktd_buf_mib,
		ktd_cid, ktd_port);
	return 0;

err_trigger:
	ktd_trigger_exit();
err_channel:
	ktd_channel_exit();
err_freeze:
	ktd_freeze_exit();
	ktd_perf_exit();
err_capture:
	ktd_capture_exit();
err_sched_timeline:
	ktd_sched_timeline_exit();
err_timeline:
	ktd_timeline_exit();
err_buffer:
	ktd_buffer_exit();
err_enums:
	ktd_enums_exit();
	ktd_blob_exit();
	return ret;
}

static void __exit ktdump_exit(void)
{
	if (prog_stats)
		static_key_slow_dec(&bpf_stats_enabled_key.key);
	ktd_point_exit();
	ktd_demand_open(false);
	ktd_ticker_exit();
	ktd_trigger_exit();
	ktd_channel_exit();
	ktd_stream_exit();
	if (ktd_buffer_waiting())
		pr_warn("unloaded with %u snapshots that no collector has acknowledged: they are lost\n",
			ktd_buffer_waiting());
	ktd_late_exit();
	ktd_freeze_exit();
	ktd_perf_exit();
	ktd_capture_exit();
	ktd_sched_timeline_exit();
	ktd_timeline_exit();
	ktd_buffer_exit();
	ktd_enums_exit();
	ktd_blob_exit();
}

module_init(ktdump_init);
module_exit(ktdump_exit);

MODULE_DESCRIPTION("Keeps the state of a dying sched_ext scheduler and sends it over vsock");
MODULE_AUTHOR("The ktdump authors");
MODULE_VERSION(KTD_VERSION);
MODULE_LICENSE("GPL");
MODULE_SOFTDEP("pre: vmw_vsock_virtio_transport");
