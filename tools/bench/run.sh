# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by bench and demo: build, run all four columns in one boot of the host.
# run_bench ARGS... leaves build/bench/run.log and, from the emulator, counts.
# KVER chooses the kernel of the host, as for the Makefile.

top=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
out=${BENCH_OUT:-$top/build/bench}
limit=${BENCH_TIMEOUT:-1500}
kver=${KVER:-6.1}
module=$top/build/module/$kver/umbra.ko

run_bench()
{
	local count=(--count "$out/counts") marks=--marks
	if [ "${HOST:-emulated}" = native ]; then
		count=() marks=
	fi
	mkdir -p "$out" || return
	rm -f "$out/counts" "$out/run.log"

	echo "Building ..." >&2
	make -s -C "$top" module "KVER=$kver" >"$out/build.log" 2>&1 &&
		make -s -C "$top/selftests/perf" "OUTPUT=$out" >>"$out/build.log" 2>&1 || {
		cat "$out/build.log" >&2
		return 1
	}

	echo "Starting the host; each line below is one figure ..." >&2
	# shellcheck disable=SC2086
	"$top/tools/testhost/testhost" -m 512 -k "$kver" -t "$limit" "${count[@]}" \
		-f "$module" -- "$out/bench" --module "$module" $marks "$@" |
		tee "$out/run.log" | grep --line-buffered -v '^result ' >&2
	return "${PIPESTATUS[0]}"
}

# Fail unless each benchmark has its four columns.
check_columns()
{
	awk '$1 == "result" { n[$2]++ }
	     END { for (b in n) if (n[b] != 4) { print "no figures in all columns: " b; bad = 1 }
		   if (!length(n)) { print "no figures at all"; bad = 1 }
		   exit bad }' "$out/run.log" >&2
}
