#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# life.sh RUNNER ROUNDS: the module's life: parameters, device node, a killed
# VMM, ROUNDS times insmod, a VM, rmmod without a leak. TAP.

. "$(dirname "$0")/host.sh"
runner=$1
rounds=$2
parameter=/sys/module/umbra/parameters/paging

no_cache_left()
{
	! grep umbra /proc/slabinfo
}

no_module_left()
{
	! grep -w umbra /proc/modules && ! [ -e /dev/umbra ]
}

load_refused()
{
	! umbra_load "$@"
}

one_round() # PAGING
{
	umbra_load &&
		"$runner" --node /dev/umbra --paging "$1" --cpus 1 touch_4k >/dev/null &&
		rmmod umbra
}

# In KiB: all that is neither free nor user space's or the page cache's, with
# nothing kept back for later.
memory_used()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	echo 1 >/proc/sys/vm/compact_memory
	sleep 1
	awk '/^MemTotal:/ { sum += $2 }
		/^(MemFree|Buffers|Cached|AnonPages):/ { sum -= $2 }
		END { print sum }' /proc/meminfo
}

# Kill the VMM, all its processes, while guests run.
killed_vmm()
{
	for delay in 0.1 0.2 0.3 0.5; do
		setsid "$runner" --node /dev/umbra --paging "$1" --cpus 1 >/dev/null 2>&1 &
		leader=$!
		sleep $delay
		kill -9 -$leader || return
		wait $leader
	done 2>/dev/null
	# The last file descriptors close a moment after the kill.
	for try in 1 2 3 4 5 6 7 8 9 10; do
		rmmod umbra 2>/dev/null && return
		sleep 0.3
	done
	lsmod | grep umbra
	return 1
}

tap_begin
log_mark

tap_check "it loads" umbra_load
tap_check "the node is there" test -c /dev/umbra
mode=$(stat -c %a /dev/umbra)
tap_point "$([ "$mode" = 660 ]; echo $?)" "the node's mode is 660" "$mode"
tap_point "$([ "$(cat $parameter)" = ept ]; echo $?)" "paging is ept by default"
tap_check "paging can be changed" sh -c "echo shadow >$parameter && grep -qx shadow $parameter"
tap_check "paging refuses another word" sh -c "! echo other >$parameter"
tap_check "rmmod" rmmod umbra
tap_check "nothing of it is left" no_module_left
tap_check "no slab cache is left" no_cache_left
tap_check "a bad parameter is refused" load_refused paging=other
rmmod umbra 2>/dev/null
log_check "load"

for paging in ept shadow; do
	umbra_load
	tap_check "$paging: kill -9 of a VMM that runs guests leaves nothing in use" killed_vmm $paging
	log_check "kill -9, $paging"
done

done=0 paging=ept
run_rounds() # N
{
	end=$((done + $1))
	while [ $done -lt $end ]; do
		one_round $paging || return
		done=$((done + 1))
		[ $paging = ept ] && paging=shadow || paging=ept
	done
}

# The kernel's own use goes up and down by more than this from one moment to
# another, but a leak goes up every time: ask again before crying.
leaks()
{
	for try in 1 2 3; do
		before=$(memory_used)
		run_rounds "$rounds" || return
		growth=$(($(memory_used) - before))
		tap_note "kernel memory grew by $growth KiB in $rounds rounds"
		# One leaked page per round would be 4 KiB times the rounds.
		[ $growth -lt $((4 * rounds)) ] && return 1
	done
	return 0
}

# Some rounds first, for what the kernel allocates once.
run_rounds 5
leaks
leaked=$?
tap_point $((done < rounds)) "$rounds times insmod, a VM, rmmod" "stopped in round $((done + 1))"
tap_check "no slab cache is left after them" no_cache_left
tap_point $((leaked == 0)) "not even a page per round is leaked" "grew by $growth KiB"
log_check "rounds"
tap_end
