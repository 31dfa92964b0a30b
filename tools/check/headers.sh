#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# headers.sh KDIR DIR: each header compiles on its own, twice in a row, with
# nothing included before it. The module's with the kernel's flags, as objects of
# an external module in DIR; those of user space with the user's compiler. TAP,
# one point per header.
set -u

kdir=$1
dir=$2
cd "$(dirname "$0")/../.." || exit
top=$PWD
. tools/check/tap.sh

# Templates are included several times with macros set and have no meaning alone.
headers() # DIR...
{
	find "$@" -name '*.h' ! -name '*_template.h' 2>/dev/null | sort
}

include_of() # HEADER: how others include it
{
	case $1 in
	include/uapi/*) echo "<${1#include/uapi/}>" ;;
	include/*) echo "<${1#include/}>" ;;
	*) echo "\"$top/$1\"" ;;
	esac
}

# One object per header, each a target of its own: modpost has nothing to do here.
kernel_headers()
{
	local header name objects=()
	rm -rf "$dir"
	mkdir -p "$dir"
	for header; do
		name=${header//[^a-z0-9]/_}
		printf '#include %s\n#include %s\n' "$(include_of "$header")" \
			"$(include_of "$header")" >"$dir/$name.c"
		objects+=("$name.o")
	done
	{
		echo "obj-m := ${objects[*]}"
		echo "ccflags-y := -I$top/include -I$top/include/uapi"
	} >"$dir/Kbuild"
	make -C "$kdir" M="$dir" W=1 -k -j2 "${objects[@]}" >"$dir/log" 2>&1
	for header; do
		name=${header//[^a-z0-9]/_}
		tap_point "$([ -e "$dir/$name.o" ]; echo $?)" "$header" \
			"$(grep -A3 "$header:.*\(error\|warning\)" "$dir/log")"
	done
	tap_point "$(! grep -q warning: "$dir/log"; echo $?)" "no warning from them" \
		"$(grep warning: "$dir/log")"
}

user_header() # HEADER FLAGS...
{
	local header=$1
	shift
	printf '#include %s\n#include %s\n' "$(include_of "$header")" "$(include_of "$header")" |
		gcc -std=gnu11 -Wall -Wextra -Wno-unused -Wno-unused-parameter -Werror \
			-fsyntax-only "$@" -x c -
}

tap_begin
mapfile -t list < <(headers core mmu vmx emulate irqchip include)
kernel_headers "${list[@]}"

# In user space: the ABI, the libraries.
mapfile -t list < <(headers include/uapi tools selftests/api selftests/guest selftests/perf |
	xargs -r grep -L 'No include guard')
for header in "${list[@]}"; do
	tap_check "$header in user space" user_header "$header" -ffreestanding -I include/uapi \
		-I tools/lib -I build/linux-source/tools/testing/selftests
done

# The unit tests', among them the shims that stand in for the kernel's, all tests'
# and one's own.
mapfile -t list < <(headers selftests/unit)
for header in "${list[@]}"; do
	tap_check "$header in the unit tests" user_header "$header" \
		-I "$(cut -d / -f 1-3 <<<"$header")/include" -I selftests/unit/include -I include -I . \
		-I build/linux-source
done
tap_end
