# SPDX-License-Identifier: GPL-2.0
# The stages of make check, for check.sh to source: what must be built first,
# what runs then (the longest first, two at a time), what looks at the results.

build_stages="build_6_1 build_6_12 build_debug build_programs build_linux"
test_stages="linux linux_exits upstream guests_2cpus guests_1cpu host life statistics
	api_ept api_shadow huge races waits hotplug suspend perf
	guests_debug guests_keys api_keys guests_ahead guests_exits guests_6_12 unit fuzz style
	headers_6_1 headers_6_12 sparse_6_1 sparse_6_12 docs files"
closing_stages="checksums"

# On this machine's own VMX there is one kernel, the running one, and no counter
# outside of it.
if [ "${HOST:-emulated}" = native ]; then
	export UMBRA_KO=$top/umbra.ko
	build_stages="build_native build_programs"
	test_stages="guests_1cpu guests_2cpus life api_ept api_shadow hotplug unit fuzz
		style headers_6_1 headers_6_12 sparse_6_1 sparse_6_12 docs files"
fi

# For Debian's kernels wherever the tests run.
quiet_make()
{
	env -u HOST make -s --no-print-directory "$@"
}

# The limit is for hosts that hang, not a measure of speed.
# testhost OPTIONS... -- tools/check/host/SCRIPT ARGS...
in_host()
{
	"$top/tools/testhost/testhost" -t 1200 -f "$here" -f "$runner" "$@"
}

stage_build_6_1() { "$here/build.sh" KVER=6.1 "$top/build/module/6.1"; }
stage_build_6_12() { "$here/build.sh" KVER=6.12 "$top/build/module/6.12"; }
stage_build_debug() { "$here/build.sh" "KVER=6.1 UMBRA_DEBUG=1" "$top/build/module/6.1-debug"; }
stage_build_native()
{
	"$here/build.sh" HOST=native "$top/build/module/$(uname -r | cut -d . -f 1,2)"
}

stage_build_programs() { "$here/programs.sh"; }
stage_sparse_6_1() { quiet_make KVER=6.1 sparse; }
stage_sparse_6_12() { quiet_make KVER=6.12 sparse; }
stage_headers_6_1() { quiet_make KVER=6.1 headers; }
stage_headers_6_12() { quiet_make KVER=6.12 headers; }
stage_style() { "$here/style.sh"; }
stage_docs() { "$here/docs.sh"; }
stage_files() { "$here/files.sh"; }
stage_unit() { tap_run "unit" timeout 600 make -s --no-print-directory unit; }

stage_fuzz() { tap_run "fuzz" timeout 600 make -s --no-print-directory fuzz; }

# Tests of the tools themselves; they start emulators of their own.
stage_host()
{
	local test
	for test in "$top"/selftests/host/*.sh; do
		tap_run "host ${test##*/}" "$test"
	done
}

stage_life() { in_host -- "$here/host/life.sh" "$runner" 50; }
stage_hotplug() { in_host -c 2 -- "$here/host/hotplug.sh" "$runner"; }

# Debian's QEMU: any two values of machine, CPUs, CPU model and paging meet.
stage_linux()
{
	linux_in_host {bios:pc,bios:q35,pc:1:default}:ept bios:{pc,q35}:shadow \
		pc:2:host:shadow q35:1:host:shadow q35:2:default:shadow:disk q35:2:host:ept:disk
}

# Each with each, and the stock module beside them, for make linux-matrix.
stage_linux_matrix()
{
	linux_in_host {pc,q35}:{1,2}:{default,host}:{ept,shadow} \
		pc:1:host:ept:bzimage q35:1:default:shadow:bzimage \
		{pc,q35}:1:default:{ept,shadow}:stock
}

linux_in_host() # MACHINE:CPUS:MODEL:PAGING...
{
	in_host -c 2 -m 1024 -t 3600 -f /usr/bin/qemu-system-x86_64 -f /usr/share/qemu \
		-f /usr/share/seabios -f "$top/tools/as-dev-kvm" -f "$top/build/linux" -- \
		"$here/host/linux.sh" "$top/build/linux" "$@"
}

stage_linux_exits() { "$here/linux_exits.sh"; }

stage_build_linux()
{
	tap_begin
	tap_check "Linux guest" "$top/selftests/linux/prepare.sh" "$top/build/linux"
	tap_end
}

stage_upstream() { "$here/upstream.sh"; }

stage_suspend() { in_host -c 2 -- "$here/host/suspend.sh" "$runner"; }

stage_api_ept() { in_host -f "$top/build/api" -- "$here/host/api.sh" "$top/build/api" ept; }
stage_api_shadow()
{
	in_host -f "$top/build/api" -- "$here/host/api.sh" "$top/build/api" shadow
}

# A page of 1 GiB fits only into a large host, and only at boot.
stage_huge()
{
	in_host -m 3072 -a "hugepagesz=1G hugepages=1" -f "$top/build/api" -- \
		"$here/host/huge.sh" "$top/build/api/huge"
}

# What races only where there are two CPUs; and two nodes, to move pages between.
stage_races()
{
	in_host -c 2 -m 768 -a numa=fake=2 -f "$top/build/api" -- "$here/host/api.sh" \
		"$top/build/api" both stress host_memory
}

# On a host where nothing else is going on: it measures time.
stage_waits()
{
	in_host -c 2 -f "$top/build/api" -- "$here/host/api.sh" "$top/build/api" both long_zap
}

stage_guests_1cpu()
{
	in_host -- "$here/host/guests.sh" "$runner" 1 \
		umbra-ept umbra-shadow kvm-ept kvm-shadow
}

stage_guests_2cpus()
{
	in_host -c 2 -- "$here/host/guests.sh" "$runner" 2 \
		umbra-ept umbra-shadow kvm-ept kvm-shadow
}

# With the assertions compiled in, and the auditor at work.
stage_guests_debug()
{
	UMBRA_DEBUG=1 in_host -c 2 -- "$here/host/guests.sh" --set audit=100 "$runner" 2 \
		umbra-ept umbra-shadow
}

# Going ahead of the guest wherever it spares an exit.
stage_guests_ahead()
{
	in_host -c 2 -- "$here/host/guests.sh" --set ahead_share=1 --only \
		"ahead_flags ahead_faults ahead_trap ahead_irq ahead_code ahead_spaces ptemod
		map_unmap self_map self_edit alias recycle table_writes upgrade switch_pcid irq
		irq_chain nmi vectoring fork_cow smp_ahead smp_edit smp_map smp_shootdown" \
		"$runner" 2 umbra-ept umbra-shadow
}

# Shadow paging with an exit for each page fault and INVLPG: guests that have many.
stage_guests_exits()
{
	in_host -c 2 -- "$here/host/guests.sh" --set direct_faults=N --only \
		"ptemod map_unmap self_map self_edit alias recycle table_writes upgrade perm_wp
		perm_nowp perm_smep accessed_dirty switch_pcid fork_cow exec user_exceptions
		legacy_fork pae_recycle smp_edit smp_map smp_shootdown" "$runner" 2 umbra-shadow
}

# On a CPU with protection keys, which the stock module has with EPT, and with UMIP.
stage_guests_keys()
{
	in_host --cpu corei3_cnl -c 2 -- "$here/host/guests.sh" --only "keys smp_keys umip" \
		"$runner" 2 umbra-ept umbra-shadow kvm-ept
}

stage_api_keys()
{
	in_host --cpu corei3_cnl -f "$top/build/api" -- "$here/host/api.sh" "$top/build/api" \
		both pkru xsave
}

stage_guests_6_12()
{
	in_host -k 6.12 -- "$here/host/guests.sh" "$runner" 1 umbra-ept umbra-shadow
}

stage_statistics() { "$here/statistics.sh"; }
stage_perf() { "$here/perf.sh"; }
stage_checksums() { "$here/checksums.sh" "$out"; }
