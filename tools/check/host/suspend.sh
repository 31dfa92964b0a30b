#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suspend.sh RUNNER: the machine goes to sleep and wakes up while guests run.
# pm_test "core" does all of it but the last step: the other CPU goes offline,
# the last CPU leaves VMX operation and enters it again. TAP.

. "$(dirname "$0")/host.sh"
runner=$1
stop=/tmp/suspend.stop
log=/tmp/suspend.guests

run_guests() # PAGING
{
	rm -f $stop
	while ! [ -e $stop ]; do
		"$runner" --node /dev/umbra --paging "$1" fork_cow exec switch_64 || return
	done
}

tap_begin
log_mark
for paging in ept shadow; do
	tap_check "$paging: module loads" module_load umbra $paging
	run_guests $paging >$log 2>&1 &
	guests=$!
	sleep 0.3
	echo core >/sys/power/pm_test
	tap_check "$paging: sleep and wake up" sh -c 'echo mem >/sys/power/state'
	touch $stop
	wait $guests
	tap_point $? "$paging: guests go on afterwards" "$(grep -v ^ok $log)"
	tap_check "$paging: module unloads" module_unload umbra
done
log_check "suspend"
tap_end
