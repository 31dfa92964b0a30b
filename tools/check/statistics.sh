#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# statistics.sh: the exits that a module's statistics report are those that the
# emulator counted, to the last one, on umbra and on stock kvm in both modes. TAP.
set -u

cd "$(dirname "$0")/../.." || exit
top=$PWD
out=$top/build/check/statistics
. tools/check/tap.sh

tap_begin
mkdir -p "$out"
make -s -C tools/lib OUTPUT="$out/lib" &&
	gcc -O2 -Wall -Wextra -Wno-unused-parameter -Itools/lib -static -o "$out/count_exits" \
		selftests/host/count_exits.c "$out/lib/libuvmm.a"
tap_point $? "the program builds"

tools/testhost/testhost -t 300 --count "$out/counts" -f tools/check -f "$out/count_exits" -- \
	tools/check/host/count.sh "$out/count_exits" umbra-ept umbra-shadow kvm-ept kvm-shadow \
	>"$out/totals" 2>"$out/errors"
tap_point $? "it runs on both modules in both modes" "$(cat "$out/totals" "$out/errors")"

while read -r _ region which total; do
	counted=$(awk -v r="$region" '$1 == r && $2 == "exit" { n += $4 } END { print n + 0 }' \
		"$out/counts")
	[ "$total" = "$counted" ]
	tap_point $? "$which: statistics report all $counted exits" "they say $total"
done < <(grep '^total' "$out/totals")
tap_end
