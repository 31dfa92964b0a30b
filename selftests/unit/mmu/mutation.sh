#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mutation.sh DIR [NAME...]: does the torture test notice when a flush, a check
# or a sync is taken out of mmu/? DIR is where `make all` has built the tests. For
# each mutation below one source is changed by a perl substitution, compiled, and
# the torture test must fail with it (list: mutations). TAP, a point per mutation.
set -u

out=$1
shift
top=$(cd "$(dirname "$0")/../../.." && pwd)
steps=${STEPS:-1000000}
flags="-std=gnu11 -w -DUMBRA_DEBUG -O1 -g -fsanitize=address,undefined
	-fno-sanitize-recover=all -I$top/selftests/unit/include -I$top/include"

# Return: 0 when the test fails with the mutation, 1 when it does not, 2 when
# the mutation could not be made.
caught() # NAME FILE SUBSTITUTION
{
	local dir=$out/mutation object seed
	rm -rf "$dir"
	mkdir -p "$dir"
	cp -r "$top/mmu" "$dir/mmu"
	perl -0pi -e "$3" "$dir/mmu/$2" || return 2
	cmp -s "$top/mmu/$2" "$dir/mmu/$2" && return 2
	# shellcheck disable=SC2086
	gcc $flags -c "$dir/mmu/$2" -o "$dir/mutant.o" || return 2
	object=$out/mmu-${2%.c}.o
	# shellcheck disable=SC2046,SC2086
	gcc $flags $(objects | grep -vxF "$object") "$dir/mutant.o" -o "$dir/torture" || return 2
	for seed in 1 2 3; do
		"$dir/torture" --steps "$steps" --seed "$seed" >"$dir/log" 2>&1 || return 0
	done
	return 1
}

objects()
{
	local test
	for test in "$out"/*.o; do
		case $test in
		*/test_*.o | */scene.o) ;;
		*) echo "$test" ;;
		esac
	done
}

n=0
failed=0
while read -r name file substitution; do
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	n=$((n + 1))
	caught "$name" "$file" "$substitution"
	case $? in
	0)
		echo "ok $n - $name"
		grep -m1 -o 'broken.*\|WARN_ON.*\|ERROR: .*' "$out/mutation/log" | sed 's/^/# /'
		;;
	1)
		echo "not ok $n - $name: nobody notices"
		failed=1
		;;
	*)
		echo "not ok $n - $name: cannot be made, mmu/$file has changed"
		failed=1
		;;
	esac
done < <(grep -v '^#' "$top/selftests/unit/mmu/mutations")
echo "1..$n"
rm -rf "$out/mutation"
exit $failed
