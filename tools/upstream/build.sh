#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# build.sh OUT: build the KVM selftests of Debian's linux-source-6.1, unmodified,
# and put the programs into OUT/bin.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
out=$1
source=$top/build/linux-source/tools/testing/selftests/kvm

"$top/tools/lint/source.sh"
mkdir -p "$out/bin/x86_64"
# The tree's headers hide what the installed kernel headers need, and one test
# was given a macro's later name.
make -s -C "$source" OUTPUT="$out/obj" \
	EXTRA_CFLAGS="-include linux/stddef.h -DTEST_ASSERT_EQ=ASSERT_EQ" \
	>"$out/build.log" 2>&1 || {
	grep -E 'error|undefined' "$out/build.log" >&2
	exit 1
}
while IFS='	' read -r when test reason; do
	case $when in
	fast | full | heavy) strip -o "$out/bin/${test%% *}" "$out/obj/${test%% *}" ;;
	esac
done <"$top/tools/upstream/tests"
