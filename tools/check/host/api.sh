#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# api.sh DIR PAGING: every API selftest in DIR, on umbra in that mode. TAP.

. "$(dirname "$0")/host.sh"
dir=$1
export UMBRA_PAGING=$2 UMBRA_NODE=/dev/umbra

tap_begin
log_mark
tap_check "module loads" module_load umbra "$UMBRA_PAGING"
for test in "$dir"/*; do
	[ -f "$test" ] && [ -x "$test" ] || continue
	tap_run "api ${test##*/} $UMBRA_PAGING" "$test"
	log_check "${test##*/}"
done
tap_check "module unloads" module_unload umbra
log_check "unload"

# Once more without help from the CPU, and with large pages split late.
if [ "$UMBRA_PAGING" = ept ]; then
	tap_check "module loads without PML" umbra_load pml=0 eager_page_split=0
	for test in dirty_log dirty_ring dirty_race; do
		tap_run "api $test without PML" "$dir/$test"
	done
	tap_check "module without PML unloads" module_unload umbra
	log_check "without PML"
fi
tap_end
