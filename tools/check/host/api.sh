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
tap_end
