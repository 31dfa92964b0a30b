#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# linux.sh DIR CPUS:MACHINE...: Debian's QEMU, unmodified, boots Debian's kernel on
# umbra with the interrupt controllers in the kernel, in both paging modes. TAP.

. "$(dirname "$0")/host.sh"
dir=$1
shift
tools=$(dirname "$0")/../..
log=/tmp/linux.log
. "$(dirname "$0")/qemu.sh"

boot()
{
	# shellcheck disable=SC2046
	timeout 200 "$tools/as-dev-kvm" qemu-system-x86_64 $(qemu_options) \
		-append "$(qemu_append)" >$log 2>&1 </dev/null
}

# one PAGING: the machine boots, works and ends.
one()
{
	name="linux $1 $machine $cpus"
	tap_check "$name: module loads" module_load umbra "$1"
	boot
	tap_point $? "$name: QEMU ends with status 0" "$(tail -n 5 $log)"
	tap_check "$name: $cpus CPUs are up" grep -q "linux: up with $cpus CPUs" $log
	tap_point "$(grep -q "linux: workload $(cat "$dir/expected")" $log; echo $?)" \
		"$name: the workload's checksum is right" "$(grep linux: $log)"
	tap_check "$name: module unloads" module_unload umbra
}

tap_begin
log_mark
for which; do
	cpus=${which%:*} machine=${which#*:}
	for paging in ept shadow; do
		one $paging
	done
done
log_check "linux"
tap_end
