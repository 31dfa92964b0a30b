#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What tools/testhost/testhost promises: status, output, logs, limits, counts.
# Boots the emulated host ten times; prints TAP.
set -u

cd "$(dirname "$0")/../.." || exit
top=$PWD
testhost=$top/tools/testhost/testhost
out=$top/build/host
# shellcheck source=../../tools/check/tap.sh
. tools/check/tap.sh

if [ "${HOST:-emulated}" = native ]; then
	echo "1..0 # SKIP this tests the emulated host"
	exit 4
fi

rm -rf "$out"
mkdir -p "$out/tree/sub"

# expect NAME WANTED GOT
expect()
{
	[ "$2" = "$3" ]
	tap_point $? "$1" "wanted '$2', got '$3'"
}

# has NAME PATTERN FILE
has()
{
	grep -qE -e "$2" "$3"
	tap_point $? "$1" "no '$2' in: $(tail -n 20 "$3")"
}

# Processes that run with DIR as their directory: the emulator does.
left_in()
{
	find /proc/[0-9]*/cwd -maxdepth 0 -lname "$1" 2>/dev/null | wc -l
}

# run NAME ARGS...: a run of testhost; $status, $out/NAME.stdout and .stderr
run()
{
	local name=$1
	shift
	status=0
	"$testhost" "$@" >"$out/$name.stdout" 2>"$out/$name.stderr" || status=$?
}

# The directory that a failed run's message names.
run_dir()
{
	sed -n 's/^testhost: .*logs in //p' "$out/$1.stderr"
}

# One boot that has to go right: everything that can be seen in one.
test_inside()
{
	cat >"$out/inside.sh" <<-'END'
		#!/bin/sh
		echo "vmx $(grep -cw ept_ad /proc/cpuinfo)"
		echo "cpus $(nproc)"
		modprobe kvm_intel && echo "kvm $(cat /sys/module/kvm_intel/parameters/ept)"
		echo "pwd $PWD"
		echo "variable $UMBRA_TEST"
		echo "arguments $# $1 $2"
		echo "carried $(cat /carried/sub/file)"
		echo "to stderr" >&2
		echo "mounts $(grep -c -E ' /(proc|sys|dev|sys/kernel/debug) ' /proc/mounts)"
		echo "loopback $(ip addr show lo | grep -c 127.0.0.1)"
		"$3" /dev/kvm 1000 7 && "$3" /dev/kvm 12345 8 && echo counted
		sleep 1000 &
		exit 37
	END
	chmod +x "$out/inside.sh"
	echo "content's" >"$out/tree/sub/file"
	UMBRA_TEST="it's \$HOME" run inside -t 200 --count "$out/counts" -f "$out/tree:/carried" \
		-f "$out/count_exits" -- "$out/inside.sh" "a  b" '*' "$out/count_exits"
	expect "the exit status is the command's" 37 "$status"
	has "the CPU has VMX with EPT A/D" "^vmx [1-9]" "$out/inside.stdout"
	has "one CPU unless asked" "^cpus 1$" "$out/inside.stdout"
	has "kvm_intel loads, with EPT" "^kvm Y$" "$out/inside.stdout"
	has "the directory is /" "^pwd /$" "$out/inside.stdout"
	has "UMBRA_* variables are passed on" "^variable it's \\\$HOME$" "$out/inside.stdout"
	has "arguments arrive unharmed" "^arguments 3 a  b \*$" "$out/inside.stdout"
	has "a directory is carried" "^carried content's$" "$out/inside.stdout"
	has "file systems are mounted" "^mounts 4$" "$out/inside.stdout"
	has "loopback is up" "^loopback 1$" "$out/inside.stdout"
	expect "stderr is stderr, nothing else is" "to stderr" "$(cat "$out/inside.stderr")"
	has "a KVM guest runs" "^counted$" "$out/inside.stdout"
	expect "1000 exits are counted as 1000" "7 exit 10 1000" \
		"$(grep '^7 exit 10 ' "$out/counts")"
	expect "12345 exits are counted as 12345" "8 exit 10 12345" \
		"$(grep '^8 exit 10 ' "$out/counts")"
	expect "only marked regions are reported" "7 8" \
		"$(cut -d ' ' -f 1 "$out/counts" | uniq | xargs)"
	has "TLB operations are counted" "^7 tlb context_switch [1-9]" "$out/counts"
	has "page walks are counted" "^7 walk read [1-9]" "$out/counts"
}

test_two_cpus()
{
	run smp -t 200 -c 2 -k 6.12 -- sh -c 'nproc; uname -r; modprobe kvm_intel && echo loaded'
	expect "6.12 boots with two CPUs" 0 "$status"
	has "both are there" "^2$" "$out/smp.stdout"
	has "it is 6.12" "^6\.12\." "$out/smp.stdout"
	has "its kvm_intel loads" "^loaded$" "$out/smp.stdout"
}

# Lines must come one by one; at the end of it all they would come at once.
# Work lies between them, because sleeping takes no time in the emulator.
test_streaming()
{
	local work='i=0; while [ $i -lt 50000 ]; do i=$((i + 1)); done'

	"$testhost" -t 100 -- sh -c "echo first; $work; echo second" 2>"$out/stream.stderr" |
		while read -r line; do
			echo "$line $EPOCHREALTIME"
		done >"$out/stream.stdout"
	awk '{ t[NR] = $2 } END { exit !(NR == 2 && t[2] - t[1] > 0.5) }' "$out/stream.stdout"
	tap_point $? "output streams as it comes" "$(cat "$out/stream.stdout")"
}

test_panic()
{
	run panic -t 100 -- sh -c 'echo before; echo c >/proc/sysrq-trigger'
	expect "a panic has its exit status" 123 "$status"
	has "and its message" "^testhost: kernel panic; logs in /" "$out/panic.stderr"
	has "and shows the kernel log" "sysrq triggered crash" "$out/panic.stderr"
	has "output before it is not lost" "^before$" "$out/panic.stdout"
	expect "a panic leaves no process" 0 "$(left_in "$(run_dir panic)")"
	has "the kernel log is kept" "Kernel panic" "$(run_dir panic)/serial"
}

test_boot_failure()
{
	printf '#!/bin/sh\npoweroff -f\n' >"$out/off"
	chmod +x "$out/off"
	run boot -t 100 -f "$out/off:/off" -a rdinit=/off -- true
	expect "a boot that fails has its exit status" 122 "$status"
	has "and its message" "^testhost: the kernel did not reach user space" "$out/boot.stderr"
}

# Two at once, one to be ended by its limit, one by Ctrl-C.
test_ends_early()
{
	local pid dir

	setsid "$testhost" -t 100 -- sh -c 'echo ready; sleep 1000000' >"$out/int.stdout" \
		2>"$out/int.stderr" &
	pid=$!
	run limit -t 60 -- sh -c 'echo alive; sleep 1000000'
	expect "the time limit has its exit status" 124 "$status"
	has "and its message" "^testhost: the time limit is over \(60 s\)" "$out/limit.stderr"
	has "the command ran until then" "^alive$" "$out/limit.stdout"
	expect "the time limit leaves no process" 0 "$(left_in "$(run_dir limit)")"

	dir=$(readlink "/proc/$pid/cwd")
	has "two run side by side" "^ready$" "$out/int.stdout"
	kill -INT -- "-$pid"
	status=0
	wait "$pid" || status=$?
	expect "Ctrl-C has its exit status" 130 "$status"
	expect "Ctrl-C leaves no process" 0 "$(left_in "$dir")"
	[ ! -e "$dir/disk" ]
	tap_point $? "Ctrl-C leaves no disk image" "$dir/disk"
}

# Its clock runs at the rate asked for; the command then loops and says nothing.
test_silence()
{
	run silent -t 300 -s 5 --ips 50000000 -- sh -c 'grep MHz /proc/cpuinfo; while :; do :; done'
	expect "silence has its exit status" 124 "$status"
	has "and its message" "^testhost: the command has fallen silent" "$out/silent.stderr"
	has "a CPU's instructions in a second are what was asked for" ": 50\.000$" \
		"$out/silent.stdout"
}

test_usage()
{
	run usage
	expect "no command is a usage error" 125 "$status"
	run option --nonsense -- true
	expect "an unknown option is a usage error" 125 "$status"
	run cpus -c 99 -- true
	expect "too many CPUs are a usage error" 125 "$status"
	run file -f /nonexistent -- true
	expect "a missing file is an error" 125 "$status"
	run command -- no-such-command
	expect "an unknown command is 127" 127 "$status"
	status=0
	mkdir -p "$out/bin"
	for tool in bash dirname readlink grep cat; do
		ln -sf "$(command -v $tool)" "$out/bin/$tool"
	done
	PATH=$out/bin "$testhost" -- true 2>"$out/missing.stderr" || status=$?
	expect "a missing emulator has its exit status" 121 "$status"
	has "and its message" "^testhost: the emulator is missing: install bochs" \
		"$out/missing.stderr"
}

# After a run that had to prepare what is cached. The kernel log has a time on
# each line, so two runs that agree on it agree on everything.
test_speed()
{
	local TIMEFORMAT=%0U took

	# The processor's seconds: those of the clock depend on what else runs.
	{ time run speed -- dmesg; } 2>"$out/speed.time"
	took=$(tail -n 1 "$out/speed.time")
	[ "$took" -lt 30 ]
	tap_point $? "a run takes under 30 s" "$took s"
	tap_note "took $took s"
	run again -- dmesg
	tap_check "two runs are the same to the microsecond" \
		diff "$out/speed.stdout" "$out/again.stdout"
}

tap_begin
make -s -C tools/lib OUTPUT="$out/lib" &&
	gcc -O2 -Wall -Wextra -Wno-unused-parameter -Itools/lib -static -o "$out/count_exits" \
		selftests/host/count_exits.c "$out/lib/libuvmm.a"
tap_point $? "the test's program builds"
test_usage
test_inside
test_speed
test_two_cpus
test_streaming
test_panic
test_boot_failure
test_ends_early
test_silence
tap_end
