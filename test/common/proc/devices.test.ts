import test from 'ava';
import { deviceText, mountTypes } from '../../../common/proc/devices.ts';

test('a device as the kernel writes it in maps', (t) => {
	t.is(deviceText(0xfd01), 'fd:01');
	t.is(deviceText(0x1), '00:01');
	t.is(deviceText(0x1002_3445), '234:10045');
});

test('the types of mounted file systems, whatever their paths are', (t) => {
	const text = `22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
40 35 0:45 / /a\\040-\\040b rw - fuse.sshfs me@there:/ - rw\n`;
	t.deepEqual([...mountTypes(text)], [['00:15', 'sysfs'], ['62:00', 'ext3'], ['00:2d', 'fuse.sshfs']]);
	t.deepEqual([...mountTypes('')], []);
});
