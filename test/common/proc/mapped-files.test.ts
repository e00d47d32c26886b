import test from 'ava';
import { readFileSync } from 'node:fs';
import { deviceOf, parseMounts, withFiles } from '../../../common/proc/mapped-files.ts';
import { regionsOf } from '../../../common/proc/process.ts';
import type { Region } from '../../../common/proc/regions.ts';

test('mounts, as /proc/PID/mountinfo has them', (t) => {
	t.deepEqual(
		parseMounts(
			'36 35 98:300 / /mnt\\040a rw,noatime master:1 - ext4 /dev/root rw\n' +
				'37 35 0:41 / /home rw - fuse.sshfs a rw\nnothing\n'
		),
		[{ device: '62:12c', path: '/mnt a', type: 'ext4' }, { device: '00:29', path: '/home', type: 'fuse.sshfs' }]
	);
	t.is(deviceOf(0xfe01n), 'fe:01');
});

test('what this process has mapped is of ordinary files, and how large they are', (t) => {
	const regions = withFiles(process.pid, regionsOf(process.pid, 'maps'), null);
	const node = regions.find(({ name }) => name === process.execPath);
	if (node?.fileKind === undefined) {
		t.log('the file system here is none of those that are looked at');
		t.pass();
		return;
	}
	t.deepEqual([node.fileKind, node.fileBytes], ['other', readFileSync(process.execPath).length]);
	t.true(regions.every(({ inode, fileKind }) => inode !== 0n || fileKind === undefined));
});

const region = (more: Partial<Region>): Region => ({
	start: 0x1000, end: 0x2000, readable: true, writable: true, executable: false, shared: true, fileOffset: 0,
	device: '00:ffff', inode: 3n, name: '/secretmem (deleted)', flags: new Set(), ...more,
});

test('a file is of memfd_secret(2) by its device, and by no name; of other devices nobody knows', (t) => {
	const kinds = (secret: string | null) => withFiles(process.pid, [
		region({}), region({ device: '00:fffe', name: '/x' }), region({ inode: 0n, device: '00:00' }),
	], secret).map(({ fileKind }) => fileKind);
	t.deepEqual(kinds('00:ffff'), ['secret', undefined, undefined]);
	t.deepEqual(kinds('00:fffe'), [undefined, 'secret', undefined]);
	t.deepEqual(kinds(null), [undefined, undefined, undefined]);
});
