#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# guests.sh [--audit N] RUNNER CPUS MODULE-PAGING...: the guest payloads on each of
# umbra-ept, umbra-shadow, kvm-ept, kvm-shadow. With --audit umbra checks all of a
# VM's tables after every Nth fault. TAP.

. "$(dirname "$0")/host.sh"
audit=0
[ "$1" != --audit ] || { audit=$2 && shift 2; }
runner=$1
cpus=$2
shift 2

tap_begin
log_mark
for which; do
	module=${which%-*} paging=${which#*-}
	tap_check "$which: module loads" module_load "$module" "$paging"
	audit_every "$module" "$audit"
	tap_run "guests $which cpus=$cpus" "$runner" --node "/dev/$module" \
		$(paging_option "$module" "$paging") --cpus "$cpus"
	tap_check "$which: module unloads" module_unload "$module"
	log_check "$which"
done
tap_end
