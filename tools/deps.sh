#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# deps.sh GROUP...: install the Debian packages that those targets need and
# that are missing. Says nothing when nothing is.

# Only those asked for: the headers of 6.12 bring a kernel image along.
headers()
{
	case $1 in
	6.1 | 6.1.*) echo linux-headers-amd64 ;;
	*) echo "linux-headers-$1-amd64" ;;
	esac
}

packages()
{
	case $1 in
	build) headers "${KVER:-6.1}"; echo make gcc libc6-dev kmod ;;
	sparse) packages build; echo sparse ;;
	style) echo linux-source-6.1 perl xz-utils ;;
	# binutils, cpio, xz, zstd take the kernel image apart and pack the initramfs
	testhost) echo bochs bochs-term bochsbios vgabios busybox-static cpio xz-utils zstd \
		binutils kmod gcc libc6-dev linux-libc-dev ;;
	# QEMU with its ROMs, without a display
	linux) packages testhost; echo qemu-system-x86 seabios ;;
	unit) echo make gcc libc6-dev ;;
	# libFuzzer is LLVM's
	fuzz) packages unit; echo clang-14 libclang-rt-14-dev ;;
	check)
		headers 6.12
		for g in sparse style unit fuzz docs testhost linux; do
			packages $g
		done
		;;
	bench) packages build; packages linux ;;
	demo) packages build; packages testhost ;;
	upstream) packages build; packages style; packages testhost ;;
	docs) echo python3-docutils ;;
	*) echo "deps.sh: no such group: $1" >&2; return 1 ;;
	esac
}

[ $# -gt 0 ] || { echo "usage: deps.sh build|sparse|style|unit|fuzz|testhost|linux|check|bench|demo|upstream|docs..." >&2; exit 2; }

wanted=$(for g; do packages "$g" || exit; done) || exit 2
wanted=$(printf '%s\n' $wanted | sort -u)
# shellcheck disable=SC2086
missing=$(
	{
		printf '%s\n' $wanted
		dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
			sed -n 's/ installed$//p' | sort -u
	} | sort | uniq -u
)
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
set -- $missing

if [ "$(id -u)" != 0 ]; then
	echo "deps.sh: missing packages, install them as root: apt-get install $*" >&2
	exit 1
fi
echo "deps.sh: installing $*" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Another target may be at it in parallel.
if ! { apt-get -qq update &&
	apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=600 install "$@"; } \
	>"$log" 2>&1 </dev/null; then
	cat "$log" >&2
	echo "deps.sh: could not install $*" >&2
	exit 1
fi
