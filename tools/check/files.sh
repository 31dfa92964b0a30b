#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# files.sh: Kbuild names exactly the sources there are, and the house rules on
# files hold: SPDX line, size, layering, kernel versions only in compat.h. TAP.
set -u

cd "$(dirname "$0")/../.." || exit
. tools/check/tap.sh

sources()
{
	find core mmu vmx emulate irqchip include selftests tools -name '*.[chS]' | sort
}

tap_begin

tap_check "Kbuild names the sources that are there" sh -c '
	kbuild=$(mktemp) && tree=$(mktemp) || exit
	tr -s " \t\\\\" "\n" <Kbuild | sed -n "s,^\(\(core\|mmu\|vmx\|emulate\|irqchip\)/.*\)\.o$,\1,p" |
		sort >"$kbuild"
	find core mmu vmx emulate irqchip -name "*.[cS]" | sed "s/\.[cS]$//" | sort >"$tree"
	diff -U0 --label Kbuild --label "source tree" "$kbuild" "$tree"
	status=$?
	rm -f "$kbuild" "$tree"
	exit $status'

bad=$(sources | while read -r f; do
	case $f in
	*.c | *.S) head -n 1 "$f" | grep -q '^// SPDX-License-Identifier: GPL-2.0\|^/\* SPDX-License-Identifier: GPL-2.0' ;;
	*) head -n 1 "$f" | grep -q '^/\* SPDX-License-Identifier: GPL-2.0' ;;
	esac || echo "$f"
done)
tap_point "$([ -z "$bad" ]; echo $?)" "each source begins with its SPDX line" "$bad"

bad=$(sources | while read -r f; do
	n=$(wc -l <"$f")
	[ "$n" -le 800 ] || echo "$f: $n lines"
done)
tap_point "$([ -z "$bad" ]; echo $?)" "no file is longer than 800 lines" "$bad"

bad=$(sources | grep '\.c$' | xargs -r awk '
	FNR == 1 { start = 0 }
	/^{/ { start = FNR }
	/^}/ && start { if (FNR - start - 1 > 60) print FILENAME ":" start ": " FNR - start - 1 " lines"; start = 0 }')
tap_point "$([ -z "$bad" ]; echo $?)" "no function is longer than 60 lines" "$bad"

bad=$(grep -nE '#include.*(vmx|vmcs)' mmu/* /dev/null | grep -v 'asm/vmx.h')
tap_point "$([ -z "$bad" ]; echo $?)" "mmu/ includes nothing of vmx/" "$bad"

bad=$(grep -rnE 'LINUX_VERSION_CODE|KERNEL_VERSION *\(' core mmu vmx emulate irqchip include |
	grep -v '^include/umbra/compat')
tap_point "$([ -z "$bad" ]; echo $?)" "kernel versions differ only in include/umbra/compat.h" "$bad"

tap_end
