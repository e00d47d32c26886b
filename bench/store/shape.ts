/** What files hold is said once, as a schema of valibot: type and check come from it. Here is how it reports faults. */
import * as v from 'valibot';

/** An object with these fields; others are let through. A field that is missing is reported with what it should be. */
export const fields = <const Entries extends v.ObjectEntries>(entries: Entries) =>
	v.object(entries, ({ expected, path }) => {
		const missing = path?.at(-1)?.key;
		return (typeof missing === 'string' ? entries[missing]?.expects : expected) ?? '';
	});

/** An object whose fields may have any name. To valibot a list is one too. */
export const mapOf = <Item extends v.GenericSchema>(item: Item) =>
	v.pipe(v.unknown(), v.check((value) => !Array.isArray(value), 'Object'), v.record(v.string(), item));

/** What is wrong with the value and where in it, or undefined if it is as the schema says. */
export function mismatch(value: unknown, schema: v.GenericSchema): string | undefined {
	const { success, issues } = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true });
	if (success) return undefined;
	const [{ type, input, path, expected, message }] = issues;
	// fields() and mapOf() say by their message what is expected.
	const right = type === 'object' || type === 'check' ? message : expected ?? '';
	const found = type === 'picklist' && input !== undefined ? JSON.stringify(input) : nameOf(input);
	return `${where(path)} is ${found}, not ${described(right)}`;
}

function where(path: readonly v.IssuePathItem[] | undefined): string {
	if (path === undefined) return 'it';
	const steps = path.map(({ type, key }) => (type === 'array' ? `[${String(key)}]` : `.${String(key)}`));
	return `\`${steps.join('').replace(/^\./, '')}\``;
}

const NAMES: Record<string, string> = { Object: 'an object', Array: 'a list', null: 'null' };

/** valibot writes `number`, `("ok" | "failed")`, `(string | null)`. */
function described(expected: string): string {
	const choices = expected.replace(/^\((.*)\)$/, '$1').split(' | ');
	return choices.every((choice) => choice.startsWith('"'))
		? `one of ${choices.map((choice) => choice.slice(1, -1)).join(', ')}`
		: choices.map((choice) => NAMES[choice] ?? `a ${choice}`).join(' or ');
}

function nameOf(value: unknown): string {
	if (value === undefined) return 'missing';
	if (value === null) return 'null';
	if (typeof value !== 'object') return `a ${typeof value}`;
	return Array.isArray(value) ? 'a list' : 'an object';
}
