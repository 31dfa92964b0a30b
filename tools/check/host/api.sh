#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# api.sh DIR PAGING [NAME...]: API selftests in DIR, all or those named, on umbra in
# that mode, or with "both" in each. TAP.

. "$(dirname "$0")/host.sh"
dir=$1 modes=$2
shift 2
[ "$modes" != both ] || modes="ept shadow"
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(ls "$dir")
export UMBRA_PAGING=ept UMBRA_NODE=/dev/umbra

tap_begin
tap_check "host has swap" swap_on
log_mark
for mode in $modes; do
	UMBRA_PAGING=$mode
	tap_check "module loads" module_load umbra "$UMBRA_PAGING"
	for name; do
		[ -f "$dir/$name" ] && [ -x "$dir/$name" ] || continue
		tap_run "api $name $UMBRA_PAGING" "$dir/$name"
		log_check "$name"
	done
	tap_check "module unloads" module_unload umbra
	log_check "unload"
done

# Once more without help from the CPU, and with large pages split late.
if [ "$modes" = ept ]; then
	tap_check "module loads without PML" umbra_load pml=0 eager_page_split=0
	for test in dirty_log dirty_ring dirty_race; do
		tap_run "api $test without PML" "$dir/$test"
	done
	tap_check "module without PML unloads" module_unload umbra
	log_check "without PML"
fi
tap_end
