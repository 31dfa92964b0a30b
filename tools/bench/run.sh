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
marks=
[ "${HOST:-emulated}" = native ] || marks=--marks

# one_boot NAME "TESTHOST OPTIONS" COMMAND...
one_boot()
{
	local counts=$out/counts.$1 options=$2 count=()
	shift 2
	[ "${HOST:-emulated}" = native ] || count=(--count "$counts")
	rm -f "$counts"
	# shellcheck disable=SC2086
	"$top/tools/testhost/testhost" $options -m 1024 -k "$kver" -t "$limit" "${count[@]}" \
		-f "$module" -- "$@" |
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
	one_boot one "" "$out/bench" --module "$module" $marks "$@"
}

run_bench_smp()
{
	echo "Starting a host with two CPUs ..." >&2
	one_boot smp "-c 2" "$out/bench" --module "$module" $marks --smp "$@"
}

# Linux in QEMU, from power on to power off.
run_bench_linux()
{
	local name check=$top/tools/check guest=$top/build/linux
	[ "${HOST:-emulated}" != native ] || return 0
	echo "Starting a host in which QEMU boots Linux ..." >&2
	"$top/selftests/linux/prepare.sh" "$guest" || return
	for name in ${*:-linux_boot linux_boot_huge}; do
		one_boot "$name" "-f /usr/bin/qemu-system-x86_64 -f /usr/share/qemu
			-f /usr/share/seabios -f $top/tools/as-dev-kvm -f $guest -f $check
			-f $out/mark" "$check/host/linux_boot.sh" "$guest" "$out/mark" 1:q35 \
			"$name" umbra-ept umbra-shadow kvm-ept kvm-shadow || return
	done
}

# Fail unless each benchmark has its four columns.
check_columns()
{
	awk '$1 == "result" { n[$2]++ }
	     END { for (b in n) if (n[b] != 4) { print "no figures in all columns: " b; bad = 1 }
		   if (!length(n)) { print "no figures at all"; bad = 1 }
		   exit bad }' "$out/run.log" >&2
}
