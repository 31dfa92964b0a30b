#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# fuzz.sh NAME PROGRAM SECONDS [OPTIONS...]: let libFuzzer look for an input that
# breaks PROGRAM, for so long. What it finds stays beside the program. TAP.
set -u

name=$1 program=$2 seconds=$3
shift 3
log=$program.log

"$program" -max_total_time="$seconds" -seed=1 -timeout=20 -print_final_stats=1 \
	-artifact_prefix="$program." "$@" >"$log" 2>&1
status=$?
sed -n 's/^stat::number_of_executed_units: */# inputs tried: /p; s/^.*DONE *cov: \([0-9]*\).*/# edges covered: \1/p' "$log"
if [ $status = 0 ]; then
	echo "ok 1 - fuzzing the $name"
else
	tail -n 40 "$log" | sed 's/^/# /'
	echo "not ok 1 - fuzzing the $name"
fi
echo "1..1"
exit $status
