#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Extract the few parts of Debian's linux-source package that the lint and the
# tests use into build/linux-source/, once. Silent when there is nothing to do.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
dest=$top/build/linux-source
archive=/usr/src/linux-source-6.1.tar.xz
stamp=$dest/.complete-2

mkdir -p "$top/build"
exec 9>"$top/build/.linux-source.lock"
flock 9
[ -e "$stamp" ] && exit 0
[ -r "$archive" ] || { echo "source.sh: $archive missing; run tools/deps.sh style" >&2; exit 1; }

echo "Extracting parts of linux-source-6.1 into build/linux-source (once)" >&2
rm -rf "$dest"
mkdir -p "$dest"
tar -C "$dest" --strip-components=1 --wildcards -xf "$archive" \
	'linux-source-6.1/scripts/checkpatch.pl' \
	'linux-source-6.1/scripts/spelling.txt' \
	'linux-source-6.1/scripts/const_structs.checkpatch' \
	'linux-source-6.1/include/linux/*.h' \
	'linux-source-6.1/arch/x86/include/*.h' \
	'linux-source-6.1/tools/include/*' \
	'linux-source-6.1/tools/lib/*' \
	'linux-source-6.1/tools/scripts/*' \
	'linux-source-6.1/tools/arch/x86/include/*' \
	'linux-source-6.1/tools/testing/selftests/lib.mk' \
	'linux-source-6.1/tools/testing/selftests/kselftest.h' \
	'linux-source-6.1/tools/testing/selftests/kselftest_harness.h' \
	'linux-source-6.1/tools/testing/selftests/kselftest/*' \
	'linux-source-6.1/scripts/subarch.include' \
	'linux-source-6.1/tools/build/Build.include' \
	'linux-source-6.1/tools/testing/selftests/rseq/*' \
	'linux-source-6.1/tools/testing/selftests/kvm/*'
# checkpatch takes the CamelCase names that it allows from include/.
mv "$dest/arch/x86/include" "$dest/include/x86"
touch "$stamp"
