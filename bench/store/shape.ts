/**
 * Says once what a file holds: the TypeScript type and the check at run time
 * both come from the same shape.
 */

export type Shape =
	| 'string' | 'number' | 'boolean' | 'any'
	| { readonly maybe: Shape }
	| { readonly list: Shape }
	| { readonly map: Shape }
	| { readonly oneOf: readonly string[] }
	| { readonly fields: { readonly [name: string]: Shape } };

/** The type of a value that has the shape. `maybe` is null, never absent. */
export type Of<S> =
	S extends 'string' ? string
	: S extends 'number' ? number
	: S extends 'boolean' ? boolean
	: S extends 'any' ? unknown
	: S extends { readonly maybe: infer T } ? Of<T> | null
	: S extends { readonly list: infer T } ? Array<Of<T>>
	: S extends { readonly map: infer T } ? Record<string, Of<T>>
	: S extends { readonly oneOf: readonly (infer T)[] } ? T
	: S extends { readonly fields: infer F } ? { -readonly [K in keyof F]: Of<F[K]> }
	: never;

/** What is wrong with the value and where in it, or undefined if it has the shape. */
export function mismatch(value: unknown, shape: Shape, at = ''): string | undefined {
	if (shape === 'any') {
		return undefined;
	}
	if (typeof shape === 'string') {
		return typeof value === shape ? undefined : `${where(at)} is ${nameOf(value)}, not a ${shape}`;
	}
	if ('maybe' in shape) {
		return value === null ? undefined : mismatch(value, shape.maybe, at);
	}
	if ('oneOf' in shape) {
		return shape.oneOf.includes(String(value))
			? undefined
			: `${where(at)} is ${JSON.stringify(value)}, not one of ${shape.oneOf.join(', ')}`;
	}
	if ('list' in shape) {
		return Array.isArray(value)
			? firstMismatch(value.map((item, index) => [item, shape.list, `${at}[${index}]`]))
			: `${where(at)} is ${nameOf(value)}, not a list`;
	}
	if (typeof value !== 'object' || value === null || Array.isArray(value)) {
		return `${where(at)} is ${nameOf(value)}, not an object`;
	}
	if ('map' in shape) {
		return firstMismatch(Object.entries(value).map(([key, item]) => [item, shape.map, join(at, key)]));
	}
	const record = value as Record<string, unknown>;
	return firstMismatch(Object.entries(shape.fields).map(([key, inner]) => [record[key], inner, join(at, key)]));
}

function firstMismatch(parts: Array<[unknown, Shape, string]>): string | undefined {
	for (const [value, shape, at] of parts) {
		const wrong = mismatch(value, shape, at);
		if (wrong !== undefined) {
			return wrong;
		}
	}
	return undefined;
}

function join(at: string, key: string): string {
	return at === '' ? key : `${at}.${key}`;
}

function where(at: string): string {
	return at === '' ? 'it' : `\`${at}\``;
}

function nameOf(value: unknown): string {
	if (value === undefined) {
		return 'missing';
	}
	return value === null ? 'null' : `a ${Array.isArray(value) ? 'list' : typeof value}`;
}
