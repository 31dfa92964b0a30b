#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# style.sh [FILE...]: checkpatch --strict, with tools/lint/checkpatch.conf. All
# sources unless some are named. TAP, one point per file.
set -u

cd "$(dirname "$0")/../.." || exit
top=$PWD
. tools/check/tap.sh
tools/lint/source.sh || exit

options_for() # FILE
{
	awk -v file="$1" '!/^#/ && NF && ($1 == "*" || index(file, $1) == 1) {
		$1 = ""
		print
	}' "$top/tools/lint/checkpatch.conf"
}

# checkpatch leaves a cache of the kernel's CamelCase names where it runs.
checkpatch() # FILE
{
	(cd build/linux-source && perl scripts/checkpatch.pl --no-tree --root=. --strict --terse \
		--no-summary --show-types $(options_for "$1") -f "$top/$1") |
		sed "s,^$top/,,"
	[ "${PIPESTATUS[0]}" -eq 0 ]
}

tap_begin
[ $# -gt 0 ] || set -- $(find core mmu vmx emulate irqchip include selftests tools \
	-name '*.[chS]' | sort)
for file; do
	tap_check "checkpatch $file" checkpatch "$file"
done
tap_end
