#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# count.sh PROGRAM MODULE-PAGING...: run PROGRAM, selftests/host/count_exits, on
# each and print "total REGION NAME EXITS": what the module's statistics say of
# the region that the emulator counts.

. "$(dirname "$0")/host.sh"
program=$1
shift

region=0
for which; do
	module=${which%-*} paging=${which#*-}
	region=$((region + 1))
	module_load "$module" "$paging" || exit
	total=$("$program" "/dev/$module" 5000 $region) || exit
	echo "total $region $which ${total#exits }"
	module_unload "$module" || exit
done
