#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# check.sh [STAGE...]: the whole gate, or some stages of it. Each stage prints
# TAP into build/check/STAGE.tap, which is shown when the stage is done; two run
# at a time. The last line is "N passed, N failed".
# Documentation/testing.rst says what each stage is for.
set -u

cd "$(dirname "$0")/../.." || exit
# Each stage says itself what it builds, and how.
unset MAKEFLAGS MAKELEVEL MFLAGS KVER KDIR W UMBRA_DEBUG
top=$PWD
out=$top/build/check
here=$top/tools/check
runner=$top/build/guest/guests
jobs=2

. "$here/stages.sh"
. "$here/tap.sh"

passed=0 failed=0 skipped=0
failures=()
declare -A name_of=() start_of=()

# Jobs in process groups of their own, so that an interrupt ends all of each.
set -m
interrupted()
{
	trap '' INT TERM HUP
	for pid in "${!name_of[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null
	done
	wait
	echo "Interrupted"
	exit 130
}
trap interrupted INT TERM HUP

start() # STAGE
{
	echo "# $(date +%T) $1 begins" >&2
	{
		"stage_$1" >"$out/$1.tap" 2>&1 </dev/null
		echo $? >"$out/$1.status"
	} &
	name_of[$!]=$1
	start_of[$!]=$SECONDS
}

finish() # PID
{
	local stage=${name_of[$1]} p f s
	local seconds=$((SECONDS - start_of[$1]))
	unset "name_of[$1]"

	echo "# stage $stage"
	cat "$out/$stage.tap"
	mapfile -t result < <(awk -f "$here/tap.awk" -v stage="$stage" \
		-v status="$(cat "$out/$stage.status" 2>/dev/null || echo 255)" "$out/$stage.tap")
	read -r p f s <<<"${result[-1]}"
	unset "result[-1]"
	failures+=("${result[@]}")
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	echo "# stage $stage: $p passed, $f failed, $s skipped, $seconds s"
}

reap_one()
{
	local pid
	wait -n -p pid "${!name_of[@]}"
	finish "$pid"
}

run_stages() # STAGE...
{
	local stage
	for stage; do
		while [ ${#name_of[@]} -ge $jobs ]; do
			reap_one
		done
		start "$stage"
	done
	while [ ${#name_of[@]} -gt 0 ]; do
		reap_one
	done
}

mkdir -p "$out"
if [ $# -gt 0 ]; then
	for stage; do
		declare -F "stage_$stage" >/dev/null || { echo "No stage $stage" >&2; exit 2; }
	done
	run_stages "$@"
else
	rm -f "$out"/*.tap "$out"/*.status
	run_stages $build_stages
	run_stages $test_stages
	run_stages $closing_stages
fi

if [ ${#failures[@]} -gt 0 ]; then
	echo "# failures:"
	printf '# %s\n' "${failures[@]}"
fi
echo "# $skipped skipped, $SECONDS s"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
