#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# huge.sh TEST: the API selftest of huge pages, on umbra in both modes, on a host
# that has a page of 1 GiB. TAP.

. "$(dirname "$0")/host.sh"
export UMBRA_NODE=/dev/umbra

tap_begin
log_mark
tap_check "the host has a page of 1 GiB" \
	grep -qx 1 /sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages
for UMBRA_PAGING in ept shadow; do
	export UMBRA_PAGING
	tap_check "$UMBRA_PAGING: module loads" module_load umbra $UMBRA_PAGING
	tap_run "huge pages, $UMBRA_PAGING" "$1"
	tap_check "$UMBRA_PAGING: module unloads" module_unload umbra
done
log_check "huge pages"
tap_end
