#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# guests.sh [--set NAME=VALUE] [--only NAMES] RUNNER CPUS MODULE-PAGING...: the guest
# payloads, or those named, on each of umbra-ept, umbra-shadow, kvm-ept, kvm-shadow.
# --set gives a parameter of umbra another value. TAP.

. "$(dirname "$0")/host.sh"
setting=
only=
[ "$1" != --set ] || { setting=$2 && shift 2; }
[ "$1" != --only ] || { only=$2 && shift 2; }
runner=$1
cpus=$2
shift 2

tap_begin
log_mark
for which; do
	module=${which%-*} paging=${which#*-}
	tap_check "$which: module loads" module_load "$module" "$paging"
	[ -z "$setting" ] || tap_check "$which: $setting" parameter_set "$module" "$setting"
	# shellcheck disable=SC2086
	tap_run "guests $which cpus=$cpus" "$runner" --node "/dev/$module" \
		$(paging_option "$module" "$paging") --cpus "$cpus" $only
	tap_check "$which: module unloads" module_unload "$module"
	log_check "$which"
done
tap_end
