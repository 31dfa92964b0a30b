#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# sparse.sh KDIR TREE: run sparse over every source of the module (C=2). Not one
# warning is allowed. TAP.
set -u

kdir=$1
tree=$2
. "$(dirname "$0")/tap.sh"

log=$tree/sparse.log
# A silent make would not say what it checks.
unset MAKEFLAGS MAKELEVEL
tap_begin
make -j2 -C "$kdir" M="$tree" C=2 CHECK=sparse modules >"$log" 2>&1
status=$?
tap_point $status "the build under sparse" "$(tail -n 20 "$log")"
# What sparse itself did, so that a build that never called it is not a pass.
checked=$(grep -c '^  CHECK ' "$log")
tap_point "$((checked == 0))" "sparse looked at $checked sources"
warnings=$(grep -E '(warning|error): ' "$log")
tap_point "$([ -z "$warnings" ]; echo $?)" "no warning" "$warnings"
tap_end
