/**
 * No file of the native core uses another that uses it, directly or by others: each can be understood, and changed,
 * with only those in mind that it is built on. What the linker would resolve is what is used: functions and data.
 */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NATIVE = fileURLToPath(new URL('../../native/', import.meta.url));
const BUILD = join(NATIVE, 'build');

/** Of each file: the files that it uses, and what of them. */
type Graph = Map<string, Map<string, string[]>>;

/** Of the sources that there are: an object may have been left of a file that is gone. */
function sources(): string[] {
	return globSync('{core,duplicate,precopy,preflight,read,tracer}/**/*.c', { cwd: NATIVE }).sort();
}

/** What nm tells of objects, a line each: "FILE.o: NAME U" is used there, with another capital it is there for all. */
function graphOf(lines: string[]): Graph {
	const symbols = lines.map((line) => /^(.*)\.o: (\S+) ([A-Z])\b/.exec(line)).filter((match) => match !== null)
		.map(([, file = '', name = '', kind = '']) => ({ file: `${file}.c`, name, kind }));
	const definedIn = new Map(symbols.filter(({ kind }) => kind !== 'U').map(({ file, name }) => [name, file]));
	const graph: Graph = new Map();
	for (const { file, name } of symbols.filter(({ kind }) => kind === 'U')) {
		const other = definedIn.get(name);
		if (other === undefined) continue;	// the C library's
		const uses = graph.get(file) ?? new Map<string, string[]>();
		graph.set(file, uses.set(other, [...uses.get(other) ?? [], name]));
	}
	return graph;
}

function reachedFrom(graph: Graph, file: string): Set<string> {
	const reached = new Set<string>(), next = [file];
	for (let at = next.pop(); at !== undefined; at = next.pop())
		for (const other of graph.get(at)?.keys() ?? [])
			if (!reached.has(other)) {
				reached.add(other);
				next.push(other);
			}
	return reached;
}

/** The files of each circle. */
function circlesIn(graph: Graph): string[][] {
	const reached = new Map([...graph.keys()].map((file) => [file, reachedFrom(graph, file)]));
	const circles = [...graph.keys()].map((file) =>
		[...graph.keys()].filter((other) => reached.get(file)?.has(other) && reached.get(other)?.has(file)).sort());
	return [...new Map(circles.filter(({ length }) => length > 0).map((files) => [files.join(), files])).values()];
}

/** Who in it uses what of whom. */
function told(graph: Graph, circle: string[]): string {
	const uses = circle.flatMap((file) => [...graph.get(file) ?? []].filter(([other]) => circle.includes(other))
		.map(([other, names]) => `  ${file} uses ${names.join(', ')} of ${other}`));
	return [`a circle: ${circle.join(', ')}`, ...uses].join('\n');
}

test('no files of the native core are in a circle', (t) => {
	const objects = sources().map((file) => file.replace(/\.c$/, '.o'));
	t.deepEqual(objects.filter((file) => !existsSync(join(BUILD, file))), [], 'all are compiled: make -C native');
	const graph = graphOf(execFileSync('nm', ['-A', '-P', ...objects], { cwd: BUILD, encoding: 'utf8' }).split('\n'));
	t.deepEqual(graph.get('duplicate/inject.c')?.get('duplicate/burial.c'), ['ps_bury'], 'the graph is read');
	t.deepEqual(graph.get('tracer/held.c')?.get('tracer/reader.c'), ['reader'], 'data, too');
	const circles = circlesIn(graph);
	t.is(circles.length, 0, circles.map((circle) => told(graph, circle)).join('\n'));
});

test('a circle is seen, and who is in it', (t) => {
	const uses = (file: string, other: string): string[] =>
		[`${file}.o: in_${file} T 0 1`, `${file}.o: in_${other} U`, `${file}.o: own t 0 1`, `${file}.o: memcpy U`];
	const circles = (...pairs: [string, string][]): string[][] =>
		circlesIn(graphOf(pairs.flatMap(([file, other]) => uses(file, other))));
	t.deepEqual(circles(['a', 'b'], ['b', 'c'], ['a', 'c'], ['c', 'd']), []);
	t.deepEqual(circles(['a', 'b'], ['b', 'a']), [['a.c', 'b.c']]);
	t.deepEqual(circles(['in', 'a'], ['a', 'b'], ['b', 'c'], ['c', 'a'], ['c', 'out']), [['a.c', 'b.c', 'c.c']]);
	t.deepEqual(circles(['a', 'b'], ['b', 'a'], ['c', 'd'], ['d', 'c'], ['b', 'c']), [['a.c', 'b.c'], ['c.c', 'd.c']]);
	const graph = graphOf([...uses('a', 'b'), ...uses('b', 'a')]);
	t.is(told(graph, ['a.c', 'b.c']), 'a circle: a.c, b.c\n  a.c uses in_b of b.c\n  b.c uses in_a of a.c');
});
