#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# linux.sh DIR GUEST...: what Debian's QEMU, unmodified, boots on umbra with the
# interrupt controllers in the kernel. GUEST is MACHINE:CPUS:MODEL:PAGING for Debian's
# kernel, where MODEL is host or default, with :disk behind it for one that has a virtio
# disk, :bzimage for one that decompresses itself, :stock for the stock module, whose
# checksum must be the same; or bios:MACHINE:PAGING for a disk that SeaBIOS boots. TAP.

. "$(dirname "$0")/host.sh"
dir=$1
shift
tools=$(dirname "$0")/../..
log=/tmp/linux.log
disk_blocks=32
. "$(dirname "$0")/qemu.sh"

qemu()
{
	local as=$tools/as-dev-kvm
	[ "$module" = umbra ] || as=
	# shellcheck disable=SC2086
	timeout 400 $as qemu-system-x86_64 "$@" >$log 2>&1 </dev/null
}

# The first half of the disk has a sum that the guest must see, and the guest makes the
# second half the same.
make_disk()
{
	disk=/tmp/disk
	dd if="$dir/vmlinux" of=$disk bs=64k count=$disk_blocks skip=100 2>/dev/null
	disk_sum=$(md5sum <$disk)
	dd if=/dev/zero of=$disk bs=64k count=$disk_blocks seek=$disk_blocks 2>/dev/null
}

check_disk()
{
	tap_point "$(grep -q "linux: disk $disk_sum" $log; echo $?)" \
		"$name: the guest reads its disk" "$(grep linux: $log)"
	tap_point "$([ "$(dd if=$disk bs=64k skip=$disk_blocks 2>/dev/null | md5sum)" = "$disk_sum" ]; echo $?)" \
		"$name: the guest writes its disk"
	tap_check "$name: with ioeventfds" grep -q '^kvm_set_ioeventfd_' $log
	tap_check "$name: with irqfds" grep -q '^kvm_irqchip_add_msi_route' $log
}

# The machine boots, works and ends.
linux() # MACHINE CPUS MODEL PAGING [disk|bzimage|stock]
{
	machine=$1 cpus=$2 model=$3 name="linux $*" disk= kernel=vmlinux module=umbra
	case ${5:-} in
	disk) make_disk ;;
	bzimage) kernel=vmlinuz ;;
	stock)
		module=kvm
		# What as-dev-kvm leaves where there was no node.
		[ -c /dev/kvm ] || rm -f /dev/kvm
		;;
	esac
	tap_check "$name: module loads" module_load $module "$4"
	begin=$(date +%s)
	# shellcheck disable=SC2046
	set -f && qemu $(qemu_options) -append "$(qemu_append)"
	tap_point $? "$name: QEMU ends with status 0" "$(tail -n 5 $log)"
	set +f
	tap_note "$name: $(($(date +%s) - begin)) s," \
		"workload $(sed -n 's/^.*linux: workload \([0-9a-f]*\).*/\1/p' $log)"
	tap_check "$name: $cpus CPUs are up" grep -q "linux: up with $cpus CPUs" $log
	tap_point "$(grep -q "linux: workload $(cat "$dir/expected")" $log; echo $?)" \
		"$name: the workload's checksum is right" "$(grep linux: $log)"
	[ -z "$disk" ] || check_disk
	tap_check "$name: module unloads" module_unload $module
}

# selftests/bios/disk.S ends QEMU with twice 0x10 and one.
bios() # MACHINE PAGING
{
	name="bios $1 $2" module=umbra
	tap_check "$name: module loads" module_load umbra "$2"
	begin=$(date +%s)
	qemu -nodefaults -no-user-config -display none -vga std -m 128 -no-reboot \
		-M "$1,accel=kvm" -drive "file=$dir/bios.img,format=raw,snapshot=on" \
		-debugcon stdio -global isa-debugcon.iobase=0xe9 \
		-device isa-debug-exit,iobase=0xf4,iosize=1
	status=$?
	tap_point "$([ $status = 33 ]; echo $?)" "$name: its steps succeed" "status $status: $(cat $log)"
	tap_note "$name: $(($(date +%s) - begin)) s"
	tap_check "$name: module unloads" module_unload umbra
}

tap_begin
log_mark
for guest; do
	# shellcheck disable=SC2046
	set -- $(echo "$guest" | tr : ' ')
	case $1 in
	bios) shift; bios "$@" ;;
	*) linux "$@" ;;
	esac
done
log_check "linux"
tap_end
