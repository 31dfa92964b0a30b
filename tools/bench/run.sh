# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by bench and demo: build, and run all four columns in one boot of the host.
# prepare_bench, then run_bench ARGS... leave build/bench/run.log and, from the
# emulator, counts; run_bench_smp ARGS... adds what needs two CPUs, in another boot.
# KVER chooses the kernel of the host, as for the Makefile.

top=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
out=${BENCH_OUT:-$top/build/bench}
limit=${BENCH_TIMEOUT:-1500}
kver=${KVER:-6.1}
module=$top/build/module/$kver/umbra.ko

# one_boot NAME "TESTHOST OPTIONS" ARGS...
one_boot()
{
	local counts=$out/counts.$1 options=$2 count=() marks=
	shift 2
	if [ "${HOST:-emulated}" != native ]; then
		count=(--count "$counts") marks=--marks
	fi
	rm -f "$counts"
	# shellcheck disable=SC2086
	"$top/tools/testhost/testhost" $options -m 1024 -k "$kver" -t "$limit" "${count[@]}" \
		-f "$module" -- "$out/bench" --module "$module" $marks "$@" |
		tee -a "$out/run.log" | grep --line-buffered -v '^result ' >&2
	local status=${PIPESTATUS[0]}
	[ ! -e "$counts" ] || cat "$counts" >>"$out/counts"
	return "$status"
}

prepare_bench()
{
	mkdir -p "$out" || return
	rm -f "$out"/counts* "$out/run.log"

	echo "Building ..." >&2
	make -s -C "$top" module "KVER=$kver" >"$out/build.log" 2>&1 &&
		make -s -C "$top/selftests/perf" "OUTPUT=$out" >>"$out/build.log" 2>&1 || {
		cat "$out/build.log" >&2
		return 1
	}
}

run_bench()
{
	echo "Starting the host; each line below is one figure ..." >&2
	one_boot one "" "$@"
}

run_bench_smp()
{
	echo "Starting a host with two CPUs ..." >&2
	one_boot smp "-c 2" --smp "$@"
}

# Fail unless each benchmark has its four columns.
check_columns()
{
	awk '$1 == "result" { n[$2]++ }
	     END { for (b in n) if (n[b] != 4) { print "no figures in all columns: " b; bad = 1 }
		   if (!length(n)) { print "no figures at all"; bad = 1 }
		   exit bad }' "$out/run.log" >&2
}
