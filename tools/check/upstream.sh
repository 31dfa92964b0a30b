#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# upstream.sh: the quick ones of the kernel's own KVM selftests, on umbra in both
# paging modes. A test that the emulated CPU or Umbra has no use for skips. TAP.
set -u

cd "$(dirname "$0")/../.." || exit
. tools/check/tap.sh

tap_begin
log=build/upstream/check.log
mkdir -p build/upstream
tools/upstream/upstream --fast --jobs 1 --columns umbra-ept,umbra-shadow \
	--results build/upstream/RESULTS.fast >"$log" 2>&1
tap_point $? "the selftests run" "$(tail -n 20 "$log")"
for column in umbra-ept umbra-shadow; do
	# Beside results of slower tests, from make upstream.
	sed -n 's/^fast\t//p' tools/upstream/tests >build/upstream/fast
	awk -F '\t' 'FNR == NR { fast[$1]; next } $1 in fast' build/upstream/fast \
		"build/upstream/results/$column" >build/upstream/fast.results
	while IFS='	' read -r test word _ why _; do
		case $word in
		pass) tap_point 0 "upstream $column $test" ;;
		skip) tap_skip "upstream $column $test" "$why" ;;
		*) tap_point 1 "upstream $column $test" "$why" ;;
		esac
	done <build/upstream/fast.results
done
tap_end
