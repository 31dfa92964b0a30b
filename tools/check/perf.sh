#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# perf.sh: what the short benchmarks must show, umbra against the stock module
# in one boot. TAP.
set -u

cd "$(dirname "$0")/../.." || exit
. tools/check/tap.sh
. tools/check/figures.sh bench

tap_begin
tap_check "the short benchmarks run in all four columns" tools/bench/bench --short
for paging in ept shadow; do
	below "an exit without work costs fewer ticks than on stock" null_exit $paging ticks "<" 1
	below "an access to a port in user space costs less" pio_user $paging ticks "<=" 0.75
	below "first touch needs no more exits than on stock" touch_4k $paging exits "<=" 1
	below "tables for as much memory are no larger" touch_dense $paging table_bytes "<=" 1
done
for paging in ept shadow; do
	below "the other slots do not fault when one is deleted" slot_delete $paging exits "<" 0.01
done
for paging in ept shadow; do
	below "finding one of many slots costs little more than one of 4" \
		slot_lookup $paging vs_4_slots "<=" 1.1 umbra
done
for paging in ept shadow; do
	below "two vCPUs on two CPUs do not wait for each other" \
		touch_smp2 $paging vs_1_vcpu "<=" 0.6 umbra
done
below "first touch of huge pages needs the same exits" touch_2m ept exits "<=" 1
below "first touch of huge pages is cheaper" touch_2m ept ticks "<=" 0.9
for step in arm get clear rewrite disarm; do
	below "the dirty log costs less: $step" "dirty_$step" ept ticks "<=" 0.8
done
below "writing again to logged pages needs no more exits" dirty_rewrite ept exits "<=" 1
for step in arm get clear rewrite; do
	below "the dirty log costs less: $step" "dirty_$step" shadow ticks "<=" 0.9
done
# What shadow paging exists for: guests that work on their page tables. A stray
# interrupt may be among the exits of few operations.
while read -r benchmark exits ticks; do
	below "$benchmark needs no more exits than that" "$benchmark" shadow exits "<=" "$exits"
	below "$benchmark costs no more than that" "$benchmark" shadow ticks "<=" "$ticks"
	below "$benchmark needs no larger tables" "$benchmark" shadow table_bytes "<=" 1
done <<-END
	fork_cow 0.7 0.7
	exec 0.7 0.8
	ptemod 0.9 0.7
	map_unmap 0.9 0.7
	switch_4 1.01 0.6
	switch_64 1.01 0.8
END
note_figures
tap_end
