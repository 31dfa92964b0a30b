# SPDX-License-Identifier: GPL-2.0
# Source this: how Debian's QEMU is started to boot the Linux guest in $dir, with
# $cpus CPUs as $machine.

qemu_options()
{
	echo -nodefaults -no-user-config -display none -serial stdio -no-reboot -m 128 \
		-M "$machine,accel=kvm" -smp "$cpus" -kernel "$dir/vmlinux" -initrd "$dir/initrd"
}

# What only costs time in a guest that lives for seconds is left out.
qemu_append()
{
	local skip=load_system_certificate_list,crypto_kdf108_init
	skip=$skip,init_blk_tracer,init_kprobe_trace
	echo console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off tsc=reliable \
		no_timer_check nokaslr cryptomgr.notests=1 clearcpuid=erms,rdrand,rdseed \
		"initcall_blacklist=$skip"
}
