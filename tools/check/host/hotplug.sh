#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# hotplug.sh RUNNER: insmod, guests, rmmod on two CPUs while CPU 1 goes offline
# and comes back all the time. TAP.

. "$(dirname "$0")/host.sh"
runner=$1
cpu1=/sys/devices/system/cpu/cpu1/online
stop=/tmp/hotplug.stop
turns=/tmp/hotplug.turns

turn_cpu1()
{
	count=0
	rm -f $stop
	while ! [ -e $stop ]; do
		echo 0 >$cpu1 || break
		sleep 0.2
		echo 1 >$cpu1 || break
		sleep 0.2
		count=$((count + 1))
		echo $count >$turns
	done
	echo 1 >$cpu1 2>/dev/null
}

tap_begin
log_mark
tap_check "CPU 1 is there" grep -qx 1 $cpu1
echo 0 >$turns
turn_cpu1 2>/tmp/hotplug.err &
turner=$!
for paging in ept shadow; do
	tap_check "$paging: module loads" module_load umbra $paging
	tap_run "guests $paging while CPU 1 comes and goes" "$runner" --node /dev/umbra \
		--paging $paging --cpus 1
	tap_check "$paging: module unloads" module_unload umbra
done
touch $stop
wait $turner
tap_point "$([ "$(cat $turns)" -gt 0 ]; echo $?)" "CPU 1 went and came $(cat $turns) times" \
	"$(cat /tmp/hotplug.err)"
tap_check "CPU 1 is back" grep -qx 1 $cpu1
log_check "hotplug"
tap_end
