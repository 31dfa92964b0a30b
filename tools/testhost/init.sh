#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of the emulated host: set the stage, run the command, report, power off.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
ln -s /proc/self/fd /dev/fd
ip link set lo up
hostname testhost

# Warnings and worse go to the serial line as they happen, so that the log of a
# host that hangs says why. Booting stayed quiet because a byte there is dear.
dmesg -n 5

e9pump start
. /testhost/env
cd / || exit
set --
. /testhost/command
# What the log has after this line is the command's doing.
echo "testhost: command starts" >/dev/kmsg
e9pump $merge -- "$@" </dev/null
status=$?
dmesg | e9pump klog
e9pump exit $status
poweroff -f
