/**
 * Lint, and the house's rules on who may know whom (CONTRIBUTING.md): no import
 * runs upwards, and some things are known in one place only.
 */
import tseslint from 'typescript-eslint';

/** From the ground floor up: code of a room may import from the rooms before it, and from its own. */
const FLOORS = [
	['common'],
	['native'],
	['mechanisms'],
	['acquire'],
	['bench/types'],
	['bench/stats'],
	['bench/store'],
	['bench/report'],
	['bench/targets'],
	['bench/experiments'],
	['bench/runner'],
	['bench/environments'],
	['bench/tune'],
	['bench/doctor'],
	['bench/discover', 'bench/list', 'bench/make-report'],
	['bench/commands'],
	['bench/cli'],
];

/** What besides the floors: report knows of store no more than its types, and neither reads files. */
const PURE = { group: ['node:fs', 'node:fs/*', 'node:child_process', 'node:net'], message: 'stats are pure: no I/O.' };

const SAMPLES = 'Only bench/store/ knows what a run\'s folder holds: use its functions.';

const RULES = {
	exit: [
		{ object: 'process', property: 'exit', message: 'Only cli.ts ends the process: throw a Failure.' },
		{ object: 'process', property: 'exitCode', message: 'Only cli.ts ends the process: throw a Failure.' },
		{ object: 'process', property: 'abort', message: 'Only cli.ts ends the process: throw a Failure.' },
	],
	/** Names of a target and texts of a peer are in what is told: one module writes, and escapes all of it. */
	streams: [
		{ object: 'process', property: 'stdout', message: 'Only common/terminal.ts writes: out, err and note.' },
		{ object: 'process', property: 'stderr', message: 'Only common/terminal.ts writes: out, err and note.' },
	],
	paths: [
		{ selector: 'Literal[value=/^[.\\u002F]*results(\\u002F(runs|latest)|$)/]', message: SAMPLES },
		{ selector: 'Literal[value=/(^|\\u002F)(manifest\\.json|samples\\.jsonl|report\\.html)$/]', message: SAMPLES },
	],
	erasable: [
		{
			selector: 'TSEnumDeclaration, TSParameterProperty, TSExportAssignment, TSImportEqualsDeclaration',
			message: 'Node strips types and compiles nothing: erasable syntax only.',
		},
		{ selector: 'ExportDefaultDeclaration', message: 'Named exports.' },
	],
};

function floorRules() {
	return FLOORS.flatMap((rooms, index) => rooms.map((room) => {
		const above = FLOORS.slice(index + 1).flat();
		const group = above.map((other) => pathPattern(other, room));
		return {
			files: [`${room}/**/*.ts`, `${room}.ts`],
			rules: {
				'@typescript-eslint/no-restricted-imports': ['error', {
					patterns: [
						...(group.length === 0
							? []
							: [
								{
									regex: `^\\.\\.?/(?:.*/)?(?:${group.join('|')})`,
									message: `No import runs upwards: ${room} is below.`,
								},
							]),
						...(room === 'bench/stats' ? [PURE] : []),
					],
				}],
			},
		};
	}));
}

/**
 * A room of bench/ is reached as ../bench/store/x.ts, and from within also as ../store/x.ts; a file as ../cli.ts or
 * ./cli.ts.
 */
function pathPattern(room, from) {
	const name = room.replace(/^bench\//, '');
	return room.startsWith('bench/')
		? `${from.startsWith('bench/') ? '(?:bench/)?' : 'bench/'}${name}(?:/|\\.ts$)`
		: `${name}/`;
}

export default tseslint.config(
	{ ignores: ['node_modules/', '**/build/', 'results/', 'kernel-patch/'] },
	{
		files: ['**/*.ts'],
		extends: [tseslint.configs.strictTypeChecked],
		languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
		linterOptions: { reportUnusedDisableDirectives: 'error' },
		rules: {
			'no-restricted-properties': ['error', ...RULES.exit],
			'no-restricted-syntax': ['error', ...RULES.paths, ...RULES.erasable],
			// Markup, programs in texts and patterns are not broken.
			'max-len': ['error', { code: 120, tabWidth: 4, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }],
			'@typescript-eslint/no-explicit-any': 'error',
			// Code points are what is wanted where a text is spread.
			'@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }],
			'@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
			// Numbers in texts are what this program makes.
			'@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
			// `() => {}` where an interface asks for a function.
			'@typescript-eslint/no-empty-function': 'off',
			'@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
			// `while (true)` and `for (;;)` are clear enough.
			'@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
		},
	},
	...floorRules(),
	{ files: ['bench/cli.ts'], rules: { 'no-restricted-properties': 'off' } },
	{
		files: ['acquire/**/*.ts'],
		rules: { 'no-restricted-properties': ['error', ...RULES.exit, ...RULES.streams], 'no-console': 'error' },
	},
	{ files: ['acquire/cli.ts'], rules: { 'no-restricted-properties': ['error', ...RULES.streams] } },
	{
		files: ['acquire/**/*.ts', 'bench/store/**/*.ts', 'test/**/*.ts'],
		rules: { 'no-restricted-syntax': ['error', ...RULES.erasable] },
	},
	{
		files: ['test/**/*.ts'],
		rules: { 'no-restricted-properties': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
	},
);
