/** What every mechanism must do, whatever it is: one contract over all files of mechanisms/. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Workload } from '../../bench/targets/workload.ts';
import { MECHANISMS } from '../../mechanisms/shared/all.ts';
import { nowNs, Tracer } from '../../native/index.ts';
import { eventually, isFree } from '../processes.ts';
import { testUnless } from '../unless.ts';

const PAGE = 4096;
const childrenOf = (pid: number): string => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();

/** Runs a program whose memory is not placed at random. */
const PLACED = ['setarch', '-R'] as const;
const notPlaced = spawnSync(PLACED[0], [...PLACED.slice(1), 'true']).status === 0 ? null : 'setarch -R is refused here';

for (const mechanism of MECHANISMS) {
	const maybe = testUnless(mechanism.unavailable());

	if (mechanism.ofOneMoment) maybe(`${mechanism.name}: the copy holds the moment while the target goes on, and its end leaves nothing`, async (t) => {
		using tracer = Tracer.start();
		const writer = await Workload.start('writer', ['--pages', '64']);
		try {
			for (let round = 0; round < 20; round++) {
				const still = mechanism.open(tracer, writer);
				const { counter } = writer;
				const read = () => Buffer.from(still.read(writer.regionAddress, writer.regionBytes));
				const first = read();
				writer.awaitCounter(counter + 100);	// the target goes on
				t.true(read().equals(first), 'the copy has changed');
				const counters = Array.from({ length: 64 }, (_, page) => first.readBigUInt64LE(page * PAGE));
				t.true(
					counters[0]! > 0n && counters.every((value, page) => page === 0 || value <= counters[page - 1]!) &&
						counters[0]! - counters[63]! <= 1n,
					'torn'
				);
				t.true(still.figures.takeNs > 0 && still.figures.pauseNs > 0);
				t.is(still.pid > 0, mechanism.duplicates);
				const ended = still.end();
				t.true(ended.reapNs >= ended.killNs);
				t.is(childrenOf(writer.pid), '', 'a child is left');
				t.true(isFree(writer.pid));
			}
			const after = writer.counter;
			writer.awaitCounter(after + 100);
		} finally {
			await writer.close();
		}
	});

	if (mechanism.notForEvidence === null && mechanism.ofOneMoment) {
		maybe(`${mechanism.name}: its image is all that evidence is made of, as of the moment`, async (t) => {
			using tracer = Tracer.start();
			const writer = await Workload.start('writer', ['--pages', '64']);
			try {
				const before = Number(nowNs()), still = mechanism.open(tracer, writer), after = Number(nowNs()), image =
					still.image!();
				t.true(image.momentNs > before && image.momentNs < after && image.skewNs >= 0);
				t.deepEqual(image.threads().map(({ tid }) => tid), [writer.pid]);
				t.true(image.threads().every(({ general, xstate }) =>
					general.length === 27 * 8 && xstate.length >= 576));
				const start = Number(writer.regionAddress), end = start + writer.regionBytes;
				const region = (await image.regions()).find((each) => each.start <= start && each.end >= end);
				t.true(
					region !== undefined && region.writable && region.flags.has('rd'),
					'the writer\'s region, with its flags'
				);
				t.deepEqual(image.populated({ start, end }, 'own'), [{ start, end }]);
				t.is(image.auxv().length % 16, 0);
				t.true(image.auxv().equals(readFileSync(`/proc/${writer.pid}/auxv`)));
				t.like(image.note(), { command: 'writer', uid: process.getuid?.() });
				const memory = await image.openMemory(), room = Buffer.alloc(PAGE);
				const { counter } = writer;
				t.is(await memory.read(room, 0, PAGE, start), PAGE);
				t.true(room.equals(Buffer.from(still.read(writer.regionAddress, PAGE))), 'the same bytes by both ways');
				writer.awaitCounter(counter + 100);
				// Of a copy that is no process the target's memory need have no part.
				const copied = await image.copiedBytes();
				t.true((copied ?? 1) >= (mechanism.duplicates ? 1 : 0), 'the writer has written since');
				image.close();
				image.close();
				t.like(still.end(), { unburied: null, endedEarly: null });
				t.is(await memory.read(room, 0, PAGE, start).catch(() => 0), 0, 'an ended copy has no memory');
				await memory.close();
				t.throws(() => still.end(), { name: 'ProcsnapError' }, 'it is given up once');
			} finally {
				await writer.close();
			}
		});
	}

	if (!mechanism.cooperative) {
		const title = `${mechanism.name}: a target whose stack ends where its address space does`;
		testUnless(mechanism.unavailable() ?? notPlaced)(title, async (t) => {
			using tracer = Tracer.start();
			const shell = spawn(PLACED[0], [...PLACED.slice(1), 'sh', '-c', 'while :; do f() { :; }; f; done']);
			t.teardown(() => shell.kill('SIGKILL'));
			const maps = (): string => readFileSync(`/proc/${shell.pid!}/maps`, 'utf8');
			await eventually(() => (/-7ffffffff000 .*\[stack\]$/m.test(maps()) ? true : undefined), 'its stack is there');
			for (let copy = 0; copy < 10; copy++) {
				const still = mechanism.open(tracer, { pid: shell.pid! });
				t.true(still.read(0x7fffffffe000n, PAGE).some((byte) => byte !== 0), 'what it was started with');
				still.end();
			}
		});
	}

	maybe(`${mechanism.name}: a target that is gone gives an error, and the tracer works on`, async (t) => {
		using tracer = Tracer.start();
		const child = spawn('true');
		await once(child, 'exit');
		t.throws(
			() => mechanism.open(tracer, { pid: child.pid! }),
			{ message: mechanism.cooperative ? /does not cooperate/ : /there is no process/ }
		);
		const resident = await Workload.start('resident', ['--rss', '4M']);
		const still = mechanism.open(tracer, resident);
		t.is(still.read(resident.regionAddress, PAGE).length, PAGE);
		t.is(still.image === undefined, mechanism.notForEvidence !== null, 'only what is for evidence has an image');
		still.end();
		await resident.close();
	});
}
