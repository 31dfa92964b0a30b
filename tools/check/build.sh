#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# build.sh "VARIABLE=VALUE..." DIR: umbra.ko builds from nothing into DIR, with
# W=1 and no warning. TAP.
set -u

variables=$1
dir=$2
cd "$(dirname "$0")/../.." || exit
. tools/check/tap.sh

log=build/check/build-$(basename "$dir").log
tap_begin
# A warning is printed only when its source is compiled.
rm -rf "$dir"
make -j2 $variables W=1 module >"$log" 2>&1
tap_point $? "umbra.ko builds with $variables" "$(tail -n 30 "$log")"
# The kernel's build notes when the compiler is not the kernel's own.
warnings=$(grep -i 'warning' "$log" | grep -v 'the compiler differs')
tap_point "$([ -z "$warnings" ]; echo $?)" "no warning with $variables W=1" "$warnings"
root=build/check/install-$(basename "$dir")
rm -rf "$root"
make $variables INSTALL_MOD_PATH="$PWD/$root" modules_install >>"$log" 2>&1
tap_point $? "modules_install" "$(tail -n 10 "$log")"
tap_check "it installs the module" sh -c "find $root -name 'umbra.ko*' | grep ."
tap_check "it installs the udev rule" sh -c "grep -r 'GROUP=\"kvm\", MODE=\"0660\"' $root/etc/udev"
tap_check "its license is GPL" sh -c "modinfo -F license $dir/umbra.ko | grep -q ^GPL"
undescribed=$(modinfo -p "$dir/umbra.ko" 2>&1 | awk -F: '$2 ~ /^[ \t]*(\(|$)/')
tap_point "$([ -z "$undescribed" ]; echo $?)" "each parameter has a description" "$undescribed"
tap_end
