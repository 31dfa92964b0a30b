# SPDX-License-Identifier: GPL-2.0
# Source this: how Debian's QEMU is started to boot the Linux guest in $dir, with
# $cpus CPUs as $machine; $model "host" is the CPU that umbra can give it, any other the
# one that QEMU takes by itself. With $disk, a file, it has that as its virtio disk,
# whose notifications go through ioeventfds and irqfds, and copies $disk_blocks of it.

qemu_options()
{
	[ "${model:-default}" != host ] || echo -cpu host
	[ -z "${disk:-}" ] || echo -object iothread,id=io -device virtio-blk-pci,drive=disk,iothread=io \
		-drive "if=none,id=disk,format=raw,cache=writeback,file=$disk" \
		-trace kvm_set_ioeventfd_* -trace kvm_irqchip_add_msi_route
	echo -nodefaults -no-user-config -display none -serial stdio -no-reboot -m 128 \
		-M "$machine,accel=kvm" -smp "$cpus" -kernel "$dir/${kernel:-vmlinux}" \
		-initrd "$dir/initrd${disk:+.disk}"
}

# What only costs time in a guest that lives for seconds is left out.
qemu_append()
{
	local skip=load_system_certificate_list,crypto_kdf108_init
	skip=$skip,init_blk_tracer,init_kprobe_trace
	echo console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off tsc=reliable \
		no_timer_check nokaslr cryptomgr.notests=1 clearcpuid=erms,rdrand,rdseed \
		"initcall_blacklist=$skip" ${disk:+disk=$disk_blocks}
}
