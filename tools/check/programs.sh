#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# programs.sh: the programs that later stages run build without a warning. TAP.
set -u

cd "$(dirname "$0")/../.." || exit
. tools/check/tap.sh

tap_begin
for part in guest api; do
	log=build/check/programs-$part.log
	rm -rf "build/$part"
	make -C selftests/$part OUTPUT="$PWD/build/$part" >"$log" 2>&1
	tap_point $? "selftests/$part builds" "$(tail -n 30 "$log")"
	warnings=$(grep -i 'warning:' "$log")
	tap_point "$([ -z "$warnings" ]; echo $?)" "no warning in selftests/$part" "$warnings"
done
tap_end
