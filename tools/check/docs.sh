#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# docs.sh: Documentation/*.rst are well-formed, and api.rst names each ioctl and
# each capability that the sources serve. HTML goes to build/docs. TAP.
set -u

cd "$(dirname "$0")/../.." || exit
. tools/check/tap.sh

mkdir -p build/docs
tap_begin
for file in Documentation/*.rst; do
	tap_check "$file is well-formed" rst2html5 --report=2 --halt=2 "$file" \
		"build/docs/$(basename "$file" .rst).html"
done

undocumented() # PATTERN FILE...
{
	local pattern=$1
	shift
	grep -ohE "$pattern" "$@" | grep -oE '(KVM|UMBRA)_[A-Z0-9_]+' | sort -u |
		while read -r name; do
			grep -qw "$name" Documentation/api.rst || echo "$name"
		done
}

missing=$(undocumented '^\s*\{ KVM_[A-Z0-9_]+,' core/ioctl.c)
tap_point "$([ -z "$missing" ]; echo $?)" "api.rst has each ioctl" "$missing"
missing=$(undocumented 'case (KVM|UMBRA)_CAP_[A-Z0-9_]+:' core/caps.c)
tap_point "$([ -z "$missing" ]; echo $?)" "api.rst has each capability" "$missing"
# Directions of KVM_EXIT_IO are no reasons.
missing=$(undocumented '\bKVM_EXIT_[A-Z0-9_]+' core/*.c vmx/*.c emulate/*.c irqchip/*.c |
	grep -vE '^KVM_EXIT_IO_(IN|OUT)$')
tap_point "$([ -z "$missing" ]; echo $?)" "api.rst has each exit reason" "$missing"
tap_end
