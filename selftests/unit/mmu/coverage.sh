#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# coverage.sh DIR TEST...: which lines of mmu/ do the tests reach? DIR is where they
# were built with --coverage. Prints a line per source with the lines that were
# not reached, and the sum. STEPS: how long the torture test runs (1000000).
set -u

out=$1
shift
top=$(cd "$(dirname "$0")/../../.." && pwd)

rm -f "$out"/*.gcda
for test; do
	args=
	[ "$test" != torture ] || args="--steps ${STEPS:-1000000}"
	# shellcheck disable=SC2086
	"$out/$test" $args >"$out/log" || { cat "$out/log"; exit 1; }
done

# gcov prints each source as often as objects include it: a line is reached
# when it is in one of them.
cd "$out" || exit
gcov -t mmu-*.o test_*.o 2>/dev/null | awk -F: -v dir="$top/mmu/" '
	/^ *-: *0:Source:/ {
		file = substr($0, index($0, "Source:") + 7)
		mine = index(file, dir) == 1
		file = substr(file, length(dir) + 1)
		next
	}
	!mine || $1 ~ /^ *-$/ || $2 + 0 == 0 { next }
	{
		line = file SUBSEP ($2 + 0)
		if (!(line in reached))
			reached[line] = 0
		if ($1 !~ /#####|=====/)
			reached[line] = 1
	}
	END {
		for (line in reached) {
			split(line, part, SUBSEP)
			printf "%s %d %d\n", part[1], part[2], reached[line]
		}
	}' | sort -k1,1 -k2,2n | awk '
	$1 != file { flush(); file = $1; lines = hit = 0; missed = "" }
	{ lines++; hit += $3; all++; all_hit += $3 }
	!$3 { missed = missed " " $2 }
	function flush() {
		if (file)
			printf "%-24s %4d of %4d%s%s\n", file, hit, lines,
				missed ? "  not reached:" : "", missed
	}
	END {
		flush()
		printf "mmu/: %d of %d lines, %.1f %%\n", all_hit, all, 100 * all_hit / all
	}'
