#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mutation.sh DIR [NAME...]: does the torture test notice when a flush, a check
# or a sync is taken out of mmu/? DIR is where `make fast` has built it. For each
# mutation below one source is changed by a perl substitution, compiled, and the
# torture test, or else one of SCENES, must fail with it (list: mutations). TAP, a
# point per mutation.
set -u

out=$1
shift
top=$(cd "$(dirname "$0")/../../.." && pwd)
steps=${STEPS:-1000000}
jobs=${JOBS:-$(nproc)}
read -ra scenes <<<"${SCENES:-test_flush test_mmio test_ept test_shadow}"
flags="-std=gnu11 -w -DUMBRA_DEBUG -O2 -g -I$top/selftests/unit/include -I$top/include
	-I$top/build/linux-source"

# The simulated machine and all of mmu/ but one source.
objects() # OBJECT
{
	local object
	for object in "$out"/*.o; do
		case $object in
		*/test_*.o | */scene.o | */torture.o | */race*.o | "$1") ;;
		*) echo "$object" ;;
		esac
	done
}

link() # FILE DIR PROGRAM OBJECT...
{
	local mutated=$out/mmu-${1%.c}.o dir=$2 program=$3
	shift 3
	# shellcheck disable=SC2046,SC2086
	gcc $flags $(objects "$mutated") "$dir/mutant.o" "$@" -o "$dir/$program"
}

# Return: 0 when a test fails with the mutation, 1 when none does, 2 when the
# mutation could not be made. A test that hangs has failed, too.
caught() # DIR FILE SUBSTITUTION
{
	local dir=$1 seed scene
	mkdir -p "$dir"
	cp -r "$top/mmu" "$dir/mmu"
	perl -0pi -e "$3" "$dir/mmu/$2" || return 2
	cmp -s "$top/mmu/$2" "$dir/mmu/$2" && return 2
	# shellcheck disable=SC2086
	gcc $flags -c "$dir/mmu/$2" -o "$dir/mutant.o" || return 2
	link "$2" "$dir" torture "$out/torture.o" || return 2
	for seed in 1 2 3; do
		timeout 300 "$dir/torture" --steps "$steps" --seed "$seed" --audit 0 >"$dir/log" 2>&1 || return 0
	done
	for scene in "${scenes[@]}"; do
		link "$2" "$dir" "$scene" "$out/$scene.o" "$out/scene.o" || return 2
		timeout 300 "$dir/$scene" >"$dir/log" 2>&1 || { echo "# $scene" >"$dir/by"; return 0; }
	done
	return 1
}

run() # NUMBER NAME FILE SUBSTITUTION
{
	local dir=$out/mutation/$1
	caught "$dir" "$3" "$4" 2>"$dir.err"
	case $? in
	0)
		echo "ok $1 - $2"
		cat "$dir/by" 2>/dev/null
		grep -m1 -o 'broken.*\|WARN_ON.*\|ERROR: .*\|^not ok .*' "$dir/log" | sed 's/^/# /'
		;;
	1) echo "not ok $1 - $2: nobody notices" ;;
	*)
		echo "not ok $1 - $2: cannot be made, mmu/$3 has changed"
		sed 's/^/# /' "$dir.err"
		;;
	esac >"$dir.tap"
	rm -rf "$dir"
}

rm -rf "$out/mutation"
mkdir -p "$out/mutation"
n=0
while read -r name file substitution; do
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	n=$((n + 1))
	while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	run "$n" "$name" "$file" "$substitution" &
done < <(grep -v '^#' "$top/selftests/unit/mmu/mutations")
wait

for ((i = 1; i <= n; i++)); do
	cat "$out/mutation/$i.tap"
done
echo "1..$n"
! cat "$out"/mutation/*.tap | grep -q '^not ok'
failed=$?
rm -rf "$out/mutation"
exit $failed
