# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# figures.sh DIR: for scripts to source that run benchmarks, with their results in
# build/check/DIR, and hold these to limits.

export BENCH_OUT=$PWD/build/check/$1
results=$BENCH_OUT/results.csv
mkdir -p "$BENCH_OUT"

# figure BENCHMARK PAGING METRIC WHAT: ratio is umbra / kvm
figure()
{
	awk -F, -v key="$1,$2,$3" -v column=$([ "$4" = umbra ] && echo 4 || echo 6) \
		'$1 "," $2 "," $3 == key { print $column }' "$results"
}

# below NAME BENCHMARK PAGING METRIC OPERATOR LIMIT [umbra]
below()
{
	local what=${7:-umbra / kvm} value
	value=$(figure "$2" "$3" "$4" "$what")
	awk -v v="$value" -v l="$6" 'BEGIN { exit !(v != "" && v != "inf" && v '"$5"' l) }'
	tap_point $? "$1 ($3)" "$what is ${value:-missing}"
}

note_figures()
{
	[ ! -e "$results" ] || tap_note "$(cat "$results")"
}
