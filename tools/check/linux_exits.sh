#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# linux_exits.sh: how often Linux in QEMU exits, from power on to power off, umbra
# against the stock module in one boot. TAP.
set -u

cd "$(dirname "$0")/../.." || exit
. tools/check/tap.sh
. tools/check/figures.sh bench_linux

tap_begin
tap_check "Linux boots in all four columns" tools/bench/bench --only linux_boot_huge
for paging in ept shadow; do
	below "Linux exits less often than on stock" linux_boot_huge $paging exits "<=" 0.8
done
note_figures
tap_end
