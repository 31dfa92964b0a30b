#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mutation.sh DIR [NAME...]: does the torture test notice when a flush, a check
# or a sync is taken out of mmu/? DIR is where `make fast` has built it. For each
# mutation below one source is changed by a perl substitution, compiled, and the
# torture test, or else one of SCENES, must fail with it (list: mutations). Those named race-... are for the threads' test, from DIR/../threads: its
# sanitizer must see what a lock or an order was for. TAP, a point per mutation.
set -u

out=$1
shift
top=$(cd "$(dirname "$0")/../../.." && pwd)
steps=${STEPS:-1000000}
jobs=${JOBS:-$(nproc)}
read -ra scenes <<<"${SCENES:-test_flush test_mmio test_ept test_shadow}"
flags="-std=gnu11 -w -DUMBRA_DEBUG -g -I$top/selftests/unit/include -I$top/include
	-I$top/build/linux-source"
fast="$flags -O2"
threads="$flags -O1 -DUNIT_THREADS -fsanitize=thread -pthread"

# The simulated machine and all of mmu/ but what has been compiled anew.
objects() # FROM DIR
{
	local object
	for object in "$1"/*.o; do
		case $object in
		*/test_*.o | */scene.o | */torture.o | */race*.o) ;;
		*) [ -e "$2/${object##*/}" ] || echo "$object" ;;
		esac
	done
}

# What a header holds is in any source.
compile() # DIR FILE FLAGS
{
	local source sources=$1/mmu/$2
	case $2 in
	*.h) sources=$(echo "$1"/mmu/*.c) ;;
	esac
	for source in $sources; do
		# shellcheck disable=SC2086
		gcc $3 -c "$source" -o "$1/mmu-$(basename "$source" .c).o" || return
	done
}

link() # DIR PROGRAM OBJECT...
{
	local dir=$1 program=$2 from=$out flags=$fast
	shift 2
	[ "$program" != race ] || { from=$out/../threads flags=$threads; }
	# shellcheck disable=SC2046,SC2086
	gcc $flags $(objects "$from" "$dir") "$dir"/mmu-*.o "$@" -o "$dir/$program"
}

# The threads' test: a report is enough, whatever became of the run.
caught_by_threads() # DIR FILE
{
	local dir=$1 from=$out/../threads seed
	compile "$dir" "$2" "$threads" &&
		link "$dir" race "$from/race.o" "$from/race_host.o" || return 2
	for seed in 1 2 3; do
		TSAN_OPTIONS=halt_on_error=1 timeout 300 "$dir/race" --steps 20000 \
			--seed "$seed" >"$dir/log" 2>&1 || return 0
	done
	return 1
}

# Return: 0 when a test fails with the mutation, 1 when none does, 2 when the
# mutation could not be made. A test that hangs has failed, too.
caught() # DIR NAME FILE SUBSTITUTION
{
	local dir=$1 name=$2 seed scene
	mkdir -p "$dir"
	cp -r "$top/mmu" "$dir/mmu"
	shift
	perl -0pi -e "$3" "$dir/mmu/$2" || return 2
	cmp -s "$top/mmu/$2" "$dir/mmu/$2" && return 2
	case $name in
	race-*)
		caught_by_threads "$dir" "$2"
		return
		;;
	esac
	compile "$dir" "$2" "$fast" || return 2
	link "$dir" torture "$out/torture.o" || return 2
	for seed in 1 2 3; do
		timeout 300 "$dir/torture" --steps "$steps" --seed "$seed" --audit 0 >"$dir/log" 2>&1 || return 0
	done
	for scene in "${scenes[@]}"; do
		link "$dir" "$scene" "$out/$scene.o" "$out/scene.o" || return 2
		timeout 300 "$dir/$scene" >"$dir/log" 2>&1 || { echo "# $scene" >"$dir/by"; return 0; }
	done
	return 1
}

run() # NUMBER NAME FILE SUBSTITUTION
{
	local dir=$out/mutation/$1
	caught "$dir" "$2" "$3" "$4" 2>"$dir.err"
	case $? in
	0)
		echo "ok $1 - $2"
		cat "$dir/by" 2>/dev/null
		grep -m1 -o 'broken.*\|WARN_ON.*\|ERROR: .*\|WARNING: Thr.*\|^not ok .*' \
			"$dir/log" | sed 's/^/# /'
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
