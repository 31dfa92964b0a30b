# SPDX-License-Identifier: GPL-2.0
# Sourced by testhost: what is prepared once and kept in $cache.
# Everything here runs under the cache's lock and appears under its final name
# only when complete. Expects $top, $here, $cache, die.

# Our own programs, rebuilt when their source is newer.
build_tools()
{
	local bin=$cache/bin
	mkdir -p "$bin"
	compile "$bin/mkdisk" mkdisk.c layout.h
	compile "$bin/run" run.c frame.h
	compile "$bin/e9pump" e9pump.c frame.h -- -static
	compile "$bin/count.so" count.c cpuid.c count.h -- "$here/cpuid.c" -shared -fPIC -ldl
	compile "$bin/boot.o" boot.S layout.h -- -c
	if [ "$bin/boot.o" -nt "$bin/boot" ]; then
		ld -Ttext 0x7c00 --oformat binary -o "$bin/boot.tmp" "$bin/boot.o" &&
			mv "$bin/boot.tmp" "$bin/boot" || die "cannot link the boot sector"
	fi
}

# compile OUT SOURCE HEADERS... [-- FLAGS]
compile()
{
	local out=$1 source=$here/$2 stale=
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		[ "$out" -nt "$here/$1" ] || stale=1
		shift
	done
	[ $# -gt 0 ] && shift
	[ "$stale" ] || return 0
	gcc -O2 -Wall -Wextra -Wno-unused-parameter -Werror -o "$out.tmp" "$source" "$@" && mv "$out.tmp" "$out" ||
		die "cannot compile $source"
}

# The kernel to boot is the one that modules get built for: that of the
# installed headers, or else of the meta package. Takes 6.1, 6.12 or a full
# release, prints the release.
kernel_release()
{
	local version=$1 found meta=linux-headers-$1-amd64
	case $version in
	*-amd64) echo "$version"; return ;;
	6.1) meta=linux-headers-amd64 ;;
	esac
	found=$(ls -d /usr/src/linux-headers-"$version".*-amd64 2>/dev/null |
		grep -v -e -rt- -e -cloud- | sort -V | tail -n 1)
	if [ -z "$found" ]; then
		found=$(apt-cache depends "$meta" 2>/dev/null |
			sed -n 's/^ *Depends: \(linux-headers-.*-amd64\)$/\1/p')
	fi
	[ "$found" ] || die "no kernel $version: install $meta"
	echo "${found##*linux-headers-}"
}

# The package is unpacked, not installed: no boot loader, no initrd, no /boot.
fetch_kernel()
{
	local release=$1 dir=$2 package=linux-image-$1 deb
	mkdir "$dir/deb"
	(
		cd "$dir/deb" || exit
		apt-get -qq download "$package" 2>"$dir/apt.log" ||
		{ apt-get -qq update && apt-get -qq download "$package"; } 2>>"$dir/apt.log"
	) || { cat "$dir/apt.log" >&2; die "cannot download $package"; }
	deb=$(ls "$dir"/deb/*.deb)
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --wildcards ./boot/vmlinuz-* \
		'./*lib/modules/*/modules.*' './*lib/modules/*/kernel/arch/x86/kvm/*' \
		'./*lib/modules/*/kernel/virt/lib/*' './*lib/modules/*/kernel/mm/*' \
		'./*lib/modules/*/kernel/drivers/block/*' \
		'./*lib/modules/*/kernel/drivers/virtio/*' 2>"$dir/tar.log"
	[ -e "$dir/boot/vmlinuz-$release" ] || die "$package has no vmlinuz-$release"
	rm -r "$dir/deb"
}

word() # FILE OFFSET: a little-endian 32-bit word
{
	od -An -tu4 -j "$2" -N 4 "$1" | tr -d ' '
}

# Decompress once here, instead of at each boot there.
flatten_kernel()
{
	local image=$1 dir=$2 offset size magic
	offset=$((($(od -An -tu1 -j 497 -N 1 "$image") + 1) * 512 + $(word "$image" 584)))
	# The payload ends with its decompressed size.
	size=$(($(word "$image" 588) - 4))
	magic=$(od -An -tx1 -j $offset -N 4 "$image" | tr -d ' ')
	tail -c +$((offset + 1)) "$image" | head -c $size | case $magic in
	fd377a58) xz -dc ;;
	28b52ffd) zstd -qdc ;;
	1f8b*) gzip -dc ;;
	*) false ;;
	esac >"$dir/vmlinux" || die "cannot decompress $image"
	objcopy -O binary "$dir/vmlinux" "$dir/kernel" || die "cannot flatten $image"
	LC_ALL=C readelf -h "$dir/vmlinux" | sed -n 's/.*Entry point address: *//p' >"$dir/entry"
	strip -g "$dir/vmlinux"
}

# take_modules FROM TO NAME...: those that are not built in.
take_modules()
{
	local from=$1 to=$2 name m
	shift 2
	mkdir "$to"
	for name; do
		m=$(find "$from" -name "$name.ko*")
		[ "$m" ] || continue
		cp "$m" "$to" || exit 125
		m=$to/${m##*/}
		case $m in *.xz) unxz "$m"; m=${m%.xz} ;; esac
		# Drops the signature, whose check costs seconds over there.
		objcopy "$m" || die "objcopy failed on $m"
	done
}

# prepare_kernel RELEASE: vmlinuz, vmlinux, kernel, entry, modules/ for the host and
# guest/ for Linux in a VM there, in a directory of the cache, whose name it sets
# $kernel to. Count up when the contents change.
prepare_kernel()
{
	local release=$1 dir modules
	kernel=$cache/$release.4
	[ -d "$kernel" ] && return
	echo "testhost: preparing kernel $release (once)" >&2
	dir=$(mktemp -d "$cache/tmp.XXXXXX") || exit 125
	fetch_kernel "$release" "$dir"
	mv "$dir/boot/vmlinuz-$release" "$dir/vmlinuz"
	flatten_kernel "$dir/vmlinuz" "$dir"
	modules=$(ls -d "$dir"/lib/modules/* "$dir"/usr/lib/modules/* 2>/dev/null | head -n 1)
	take_modules "$modules" "$dir/modules" kvm kvm-intel irqbypass zsmalloc zram
	take_modules "$modules" "$dir/guest" virtio virtio_ring virtio_pci_modern_dev \
		virtio_pci_legacy_dev virtio_pci virtio_blk
	cp "$modules"/modules.order "$modules"/modules.builtin* "$dir/modules"
	rm -r "${dir:?}"/*lib "${dir:?}/boot"
	chmod 755 "$dir"
	mv "$dir" "$kernel"
}

# $cache/base.cpio: directories, busybox, /init. The links are as in Debian,
# so that programs find their loader and libraries where they expect them.
prepare_base()
{
	local base=$cache/base.cpio root d a
	[ "$base" -nt "$here/init.sh" ] && [ "$base" -nt "$cache/bin/e9pump" ] &&
		[ "$base" -nt "$here/image.sh" ] && [ "$base" -nt /bin/busybox ] && return
	root=$(mktemp -d "$cache/tmp.XXXXXX") || exit 125
	chmod 755 "$root"
	mkdir -p "$root"/{dev,etc,proc,root,run,sys,testhost,var/tmp,usr/{bin,sbin,lib,lib64}}
	mkdir -m 1777 "$root/tmp"
	for d in bin sbin lib lib64; do
		ln -s usr/$d "$root/$d"
	done
	cp /bin/busybox "$root/bin/busybox"
	for a in $(busybox --list); do
		[ "$a" = busybox ] || ln -s busybox "$root/bin/$a"
	done
	echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
	echo root:x:0: >"$root/etc/group"
	echo 127.0.0.1 localhost testhost >"$root/etc/hosts"
	cp "$cache/bin/e9pump" "$root/bin/e9pump"
	install -m 755 "$here/init.sh" "$root/init"
	pack "$root" "$base"
	rm -rf "$root"
}

# pack DIR FILE: an uncompressed archive, decompressing is slow over there. The
# same files make the same archive, for the kernel takes a few more ticks to
# read the digit f than the digit 9.
pack()
{
	(
		cd "$1" && find . -exec touch -h -d @1767225600 {} + &&
			find . -mindepth 1 | LC_ALL=C sort |
			cpio -o -H newc -R 0:0 --reproducible --quiet
	) >"$2.tmp" && mv "$2.tmp" "$2" || die "cannot pack $2"
}
