#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# prepare.sh OUT: what guests in QEMU need, in OUT: vmlinux (Debian's kernel, as
# the test host boots it, with its PVH entry), vmlinuz, initrd, initrd.disk with what a
# virtio disk takes, the workload's checksum as this machine computes it, and bios.img,
# which SeaBIOS boots.
set -e

top=$(cd "$(dirname "$0")/../.." && pwd)
out=$1
root=$out/root

mkdir -p "$root"/{bin,dev,proc,sys,tmp}
cc -O1 -Wall -static -o "$root/workload" "$top/selftests/linux/workload.c"
"$root/workload" >"$out/expected"
cp /bin/busybox "$root/bin/busybox"
for name in sh mount nproc poweroff insmod dd md5sum sync; do
	ln -sf busybox "$root/bin/$name"
done
install -m 0755 "$top/selftests/linux/init" "$root/init"
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >"$out/initrd"

# The first run of the test host prepares the kernel.
"$top/tools/testhost/testhost" -- true
kernel=$(ls -d "$top"/build/testhost/cache/6.1.*/guest | sort -V | tail -n 1)
kernel=${kernel%/guest}
cp "$kernel/vmlinux" "$kernel/vmlinuz" "$out"
(cd "$kernel" && echo guest && find guest -type f | LC_ALL=C sort) |
	(cd "$kernel" && cpio -o -H newc --quiet) | cat "$out/initrd" - >"$out/initrd.disk"

gcc -c -o "$out/bios.o" "$top/selftests/bios/disk.S"
ld -Ttext 0x7c00 --oformat binary -o "$out/bios.img" "$out/bios.o"
