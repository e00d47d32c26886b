# Part of scripts/kernel: the kernel's source and the build's packages.
# shellcheck shell=sh disable=SC2154 # version, work: scripts/kernel has them

# The source package's tarball; nothing if the package is not installed.
source_package() {
	dpkg-query -L "linux-source-$version" 2>/dev/null | grep '/linux-source-[0-9.]*\.tar\.xz$' |
		while IFS= read -r file; do
			[ ! -f "$file" ] || printf '%s' "$file"
		done
}

has_source() {
	[ -n "${KERNEL_SOURCE:-}" ] || [ -n "$(source_package)" ]
}

# A field of a kernel's top Makefile.
field() {
	sed -n "s/^$1 *= *//p" "$KERNEL_SOURCE/Makefile" 2>/dev/null | head -n 1
}

# A folder of the right version: read, never written.
check_source() {
	[ -n "${KERNEL_SOURCE:-}" ] || return 0
	[ -f "$KERNEL_SOURCE/Makefile" ] && [ -n "$(field VERSION)" ] ||
		fail "KERNEL_SOURCE=$KERNEL_SOURCE is no kernel source (its Makefile names no VERSION):" \
			"give the folder of an unpacked Linux $version"
	found=$(field VERSION).$(field PATCHLEVEL)
	[ "$found" = "$version" ] ||
		fail "KERNEL_SOURCE=$KERNEL_SOURCE is Linux $found, but Linux $version was asked for:" \
			'give a source of that version, or --version'
}

# Two trees may say the same version and differ: the files that the patches
# change are hashed too.
source_id() {
	if [ -n "${KERNEL_SOURCE:-}" ]; then
		printf 'tree %s.%s.%s%s ' "$(field VERSION)" "$(field PATCHLEVEL)" "$(field SUBLEVEL)" "$(field EXTRAVERSION)"
		sed -n 's,^--- a/\([^	]*\).*,\1,p' kernel-patch/"$version"/*.patch | sort -u | while IFS= read -r file; do
			printf '%s\n' "$file"
			cat -- "$KERNEL_SOURCE/$file" 2>/dev/null || :
		done | sha256sum | cut -c -64
	else
		dpkg-query -W -f 'package ${Version}\n' "linux-source-$version"
	fi
}

compiles() {
	printf '#include <%s>\n' "$1" | gcc -E -x c - >/dev/null 2>&1
}

# Debian packages that are missing: by their commands and headers, so that the
# same holds where there is no dpkg.
missing_packages() {
	has_source || printf 'linux-source-%s ' "$version"
	for tool in gcc make flex bison bc cpio kmod patch perl xz:xz-utils flock:util-linux ${deb_tools:-}; do
		command -v "${tool%%:*}" >/dev/null 2>&1 || printf '%s ' "${tool#*:}"
	done
	if command -v gcc >/dev/null 2>&1; then
		compiles stdio.h || printf 'libc6-dev '
		compiles gelf.h || printf 'libelf-dev '
		compiles openssl/opensslv.h || printf 'libssl-dev '
	else
		printf 'libc6-dev libelf-dev libssl-dev '
	fi
}

need_packages() {
	packages=$(missing_packages)
	[ -n "$packages" ] || return 0
	if [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null 2>&1; then
		say "missing for the kernel's build: ${packages% }; installing them (apt-get install)"
		# shellcheck disable=SC2086 # a list of names
		sh scripts/apt-install.sh kernel $packages ||
			fail "apt-get could not install them: see above; without linux-source-$version," \
				"unpack a source of Linux $version and set KERNEL_SOURCE=DIR. The list is: ${packages% }"
		packages=$(missing_packages)
	fi
	[ -z "$packages" ] ||
		cannot "missing for the kernel's build: ${packages% }
 on Debian run as root: apt-get install ${packages% }
 where there is no linux-source-$version: unpack a source of Linux $version and set KERNEL_SOURCE=DIR"
}

unpack() {
	mkdir "$work/linux" || fail "$work/linux cannot be made"
	if [ -n "${KERNEL_SOURCE:-}" ]; then
		# Without its history, and as if nothing had been built in it.
		run "copying $KERNEL_SOURCE" \
			find "$KERNEL_SOURCE" -mindepth 1 -maxdepth 1 ! -name .git -exec cp -a -t "$work/linux" {} + ||
			broken "copying $KERNEL_SOURCE failed"
		run 'cleaning the copy' make -C "$work/linux" mrproper ||
			broken "the copy of $KERNEL_SOURCE cannot be cleaned (make mrproper)"
	else
		# -T0: Debian's tarball has many blocks, each CPU takes one.
		tarball=$(source_package)
		run "unpacking $tarball" tar -I 'xz -T0' -xf "$tarball" -C "$work/linux" --strip-components=1 ||
			broken "unpacking $tarball failed"
	fi
}

apply_patches() {
	for patch in kernel-patch/"$version"/*.patch; do
		run "applying $(basename -- "$patch")" \
			patch -p1 --batch --forward --no-backup-if-mismatch -d "$work/linux" -i "$PWD/$patch" ||
			broken "$patch does not apply to $(source_id | cut -d ' ' -f -2) of Linux $version:" \
				'the source is another one than the patches were made for, or was patched already'
	done
}
