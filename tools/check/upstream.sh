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
tools/upstream/upstream --fast --columns umbra-ept,umbra-shadow \
	--results build/upstream/RESULTS.fast >"$log" 2>&1
tap_point $? "the selftests run" "$(tail -n 20 "$log")"
for column in umbra-ept umbra-shadow; do
	while IFS='	' read -r test word _ why; do
		case $word in
		pass) tap_point 0 "upstream $column $test" ;;
		skip) tap_skip "upstream $column $test" "$why" ;;
		*) tap_point 1 "upstream $column $test" "$why" ;;
		esac
	done <"build/upstream/$column.results"
done
tap_end
