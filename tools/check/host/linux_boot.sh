#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# linux_boot.sh DIR MARK CPUS:MACHINE BENCHMARK MODULE-PAGING...: Linux in QEMU, from
# power on to power off, on each of umbra-ept, umbra-shadow, kvm-ept, kvm-shadow.
# linux_boot backs the guest with small pages, linux_boot_huge with whatever the host
# likes. Prints lines "result BENCHMARK ..." as bench does.

. "$(dirname "$0")/host.sh"
dir=$1 mark=$2 cpus=${3%:*} machine=${3#*:} benchmark=$4
shift 4
tools=$(dirname "$0")/../..
. "$(dirname "$0")/qemu.sh"

region=4000 pages=always
case $benchmark in
*_huge) region=4010 ;;
*) pages=never ;;
esac
echo $pages >/sys/kernel/mm/transparent_hugepage/enabled || exit
for which; do
	module=${which%-*} paging=${which#*-}
	region=$((region + 1))
	as=
	[ "$module" = kvm ] || as=$tools/as-dev-kvm
	# What as-dev-kvm leaves where there was no node.
	[ -c /dev/kvm ] || rm -f /dev/kvm
	module_load "$module" "$paging" || exit
	# shellcheck disable=SC2046
	"$mark" $region $as qemu-system-x86_64 $(qemu_options) -append "$(qemu_append)" \
		>/tmp/linux.log 2>&1 </dev/null
	grep -q "linux: workload $(cat "$dir/expected")" /tmp/linux.log || {
		echo "$benchmark $which: wrong or no checksum"
		cat /tmp/linux.log
		exit 1
	}
	ticks=$(sed -n 's/^ticks //p' /tmp/linux.log)
	echo "result $benchmark $paging $module 1 1 $ticks 0 0 $region"
	echo "$benchmark $which: done"
	module_unload "$module" || exit
done
