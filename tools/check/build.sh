#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# build.sh KVER: umbra.ko builds from nothing with W=1 and no warning. TAP.
set -u

kver=$1
cd "$(dirname "$0")/../.." || exit
. tools/check/tap.sh

log=build/check/build-$kver.log
tap_begin
# A warning is printed only when its source is compiled.
rm -rf "build/module/$kver"
make KVER="$kver" W=1 module >"$log" 2>&1
status=$?
tap_point $status "umbra.ko builds for $kver" "$(tail -n 30 "$log")"
# Debian ships no vmlinux, so there are no BTF types to take over; the kernel's
# build says so, and says when the compiler is of another patch level.
warnings=$(grep -iE 'warning' "$log" | grep -v 'the compiler differs')
tap_point "$([ -z "$warnings" ]; echo $?)" "no warning for $kver with W=1" "$warnings"
tap_check "umbra.ko of $kver says it is GPL" \
	sh -c "modinfo -F license build/module/$kver/umbra.ko | grep -q GPL"
undescribed=$(modinfo -p "build/module/$kver/umbra.ko" 2>&1 | awk -F: '$2 ~ /^[ \t]*(\(|$)/')
tap_point "$([ -z "$undescribed" ]; echo $?)" "each parameter of $kver has a description" "$undescribed"
tap_end
