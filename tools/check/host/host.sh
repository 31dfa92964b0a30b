# SPDX-License-Identifier: GPL-2.0
# Shared by the scripts that run inside the test host: source this. busybox sh.

. "$(dirname "$0")/../tap.sh"

log_lines=0

# Only what the kernel says from now on counts; an emulated machine's boot has
# complaints of its own.
log_mark()
{
	log_lines=$(dmesg | wc -l)
}

# What must not be there: warnings, oopses, stalls, leaked slab objects, and a
# line of ours above info. That an out-of-tree module taints is no news, and a
# parameter's bad value is reported by the kernel itself.
log_bad()
{
	dmesg -r | tail -n +$((log_lines + 1)) | grep -vE 'taints kernel|module verification|invalid for parameter' |
		grep -E 'WARNING|BUG|Oops|Call Trace|INFO: |rcu.*stall|possible (circular|recursive)|Objects remaining|Bad page|general protection|unchecked MSR|refcount_t|leak|^<[0-4]>.*umbra'
}

# log_check NAME: a point for a quiet kernel log, and start anew.
log_check()
{
	log_found=$(log_bad)
	tap_point "$([ -z "$log_found" ]; echo $?)" "$1: kernel log is clean" "$log_found"
	log_mark
}

# The module is installed in the emulated host; elsewhere UMBRA_KO says where it is.
umbra_load()
{
	if [ -n "${UMBRA_KO:-}" ]; then
		insmod "$UMBRA_KO" "$@"
	else
		modprobe umbra "$@"
	fi
}

# module_load umbra|kvm ept|shadow: the stock modules take their mode at load.
module_load()
{
	case $1-$2 in
	umbra-*) umbra_load paging="$2" ;;
	kvm-ept) modprobe kvm_intel ept=1 ;;
	kvm-shadow) modprobe kvm_intel ept=0 ;;
	esac
}

# parameter_set MODULE NAME=VALUE: of umbra, which shows it as it was given.
parameter_set()
{
	[ "$1" = umbra ] || return 0
	echo "${2#*=}" >"/sys/module/umbra/parameters/${2%%=*}" &&
		[ "$(cat "/sys/module/umbra/parameters/${2%%=*}")" = "${2#*=}" ]
}

module_unload()
{
	case $1 in
	umbra) rmmod umbra ;;
	kvm) rmmod kvm_intel && rmmod kvm ;;
	esac
}

# The stock module has no capability for the mode, so its runs do not name one.
paging_option()
{
	[ "$1" = kvm ] || echo "--paging $2"
}

# swap_on: a host without swap gets some, of compressed memory; one that is somebody's
# machine is left as it is.
swap_on()
{
	[ -z "${UMBRA_KO:-}" ] && [ "$(wc -l </proc/swaps)" -eq 1 ] || return 0
	modprobe zram && echo 64M >/sys/block/zram0/disksize && mkswap /dev/zram0 &&
		swapon /dev/zram0
}
