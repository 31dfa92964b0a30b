#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# prepare.sh OUT: what a Linux guest needs, in OUT: vmlinux (Debian's kernel, as
# the test host boots it, with its PVH entry), initrd, and the workload's
# checksum as this machine computes it.
set -e

top=$(cd "$(dirname "$0")/../.." && pwd)
out=$1
root=$out/root

mkdir -p "$root"/{bin,dev,proc,sys,tmp}
cc -O1 -Wall -static -o "$root/workload" "$top/selftests/linux/workload.c"
"$root/workload" >"$out/expected"
cp /bin/busybox "$root/bin/busybox"
for name in sh mount nproc poweroff; do
	ln -sf busybox "$root/bin/$name"
done
install -m 0755 "$top/selftests/linux/init" "$root/init"
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >"$out/initrd"

# The first run of the test host prepares the kernel.
"$top/tools/testhost/testhost" -- true
cp "$(ls -d "$top"/build/testhost/cache/6.1.*/vmlinux | sort -V | tail -n 1)" "$out/vmlinux"
