// Our own rules for the contract, beside Redocly's. Each is switched on in redocly.yaml, and tests/gates/lint.py plants
// for each the fault that it is there for. A rule says what is wrong with one node, or nothing.

const SNAKE = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
const READING = ['get', 'list', 'verify'];
const WRITING = [
  ...['accept', 'add', 'adjourn', 'approve', 'assign', 'attest', 'cancel', 'change', 'close', 'complete', 'confirm', 'correct'],
  ...['decline', 'drop', 'end', 'exchange', 'file', 'give', 'issue', 'lapse', 'lift', 'make', 'pause', 'ping', 'place'],
  ...['propose', 'record', 'recuse', 'refuse', 'register', 'release', 'remove', 'replay', 'request', 'reschedule'],
  ...['revoke', 'rotate', 'schedule', 'screen', 'sign', 'start'],
];
const NEVER_REFUSED = new Set(['Accept-Language', 'If-None-Match', 'X-Request-Id']); // whatever they say
const SELF_BOUNDED = new Set(['uuid', 'date', 'date-time']);

/** The path and the method that an operation stands under. */
function place(ctx) {
  const [, , path, method] = ctx.location.pointer.split('/');
  return { path: path.replaceAll('~1', '/').replaceAll('~0', '~'), method };
}

/** Whether every text that a pattern matches has a greatest length. */
function isFinite(pattern) {
  const bare = pattern.replace(/\\./g, 'x').replace(/\[[^\]]*\]/g, 'x');
  return bare.startsWith('^') && bare.endsWith('$') && !/[*+]|\{\d+,\}/.test(bare);
}

const types = (schema) => [schema.type].flat();

/** operationId is a verb in the imperative and a noun, in camel case; a GET has a verb that reads. */
const operationId = () => ({
  Operation(operation, ctx) {
    const { method } = place(ctx);
    const id = operation.operationId ?? '';
    const verbs = method === 'get' ? READING : WRITING;
    if (!new RegExp(`^(${verbs.join('|')})([A-Z][a-z0-9]+)+$`).test(id)) {
      ctx.report({ message: `${id}: a verb and a noun in camel case, the verb one of ${verbs.join(', ')}.` });
    }
  },
});

/** /v1/plural-nouns/{id}/… and the few things of which there is one; what monitors a process is under /health, what errors mean under /problems. */
const pathShape = ({ singular }) => ({
  PathItem(_item, ctx) {
    const path = String(ctx.key);
    const [root, ...segments] = path.split('/').slice(1);
    const isCollection = (at) => (at === 0 && !singular.includes(path)) || segments[at + 1]?.startsWith('{');
    const wrong =
      !['v1', 'health', 'problems'].includes(root) ||
      segments.some((segment) => segment.startsWith('{') && !SNAKE.test(segment.slice(1, -1))) ||
      (root === 'v1' && segments.some((segment, at) => isCollection(at) && !/^(\{.*|.*s)$/.test(segment)));
    if (wrong) ctx.report({ message: `${path}: collections are plural, parameters snake_case, and all is under /v1, /health or /problems.` });
  },
});

/** Properties, parameters and the values of enums are snake_case (an order may be descending, a kind of event has a dot); headers follow HTTP. */
const snakeCase = () => ({
  Schema(schema, ctx) {
    const parts = (value) => (typeof value === 'string' ? value.replace(/^-/, '').split('.') : [value]);
    for (const name of [...Object.keys(schema.properties ?? {}), ...(schema.enum ?? []).flatMap(parts)]) {
      if (typeof name === 'string' && !SNAKE.test(name)) ctx.report({ message: `${name} is not snake_case.` });
    }
  },
  Parameter(parameter, ctx) {
    if (parameter.in !== 'header' && !SNAKE.test(parameter.name)) {
      ctx.report({ message: `${parameter.name} is not snake_case.` });
    }
  },
});

/** A name says what it holds, and what it holds says its name: …_at an instant, …_on a date, …_id a UUID, …_ids some. */
const namesTellTypes = () => {
  const endings = { 'date-time': /_at$/, date: /_on$/, uuid: /(^|_)ids?$/ };
  const exempt = new Set(['request_id', 'timestamp']); // the caller may choose it; Standard Webhooks calls it so
  const formatsOf = (given, ctx) => {
    const held = given.$ref ? ctx.resolve(given).node : given;
    const branches = [held.items, ...(held.anyOf ?? []), ...(held.oneOf ?? [])].filter(Boolean);
    return [held.format, ...branches.flatMap((branch) => formatsOf(branch, ctx))];
  };
  const check = (name, schema, ctx) => {
    const bare = name.replace(/_(from|before)$/, ''); // the bound of a filter
    const formats = formatsOf(schema, ctx);
    for (const [format, ending] of Object.entries(endings)) {
      if (!exempt.has(name) && ending.test(bare) !== formats.includes(format)) {
        ctx.report({ message: `${name}: what has the format ${format}, and nothing else, ends with ${ending.source}.` });
      }
    }
  };
  return {
    Schema(schema, ctx) {
      for (const [name, given] of Object.entries(schema.properties ?? {})) check(name, given, ctx);
    },
    Parameter(parameter, ctx) {
      if (parameter.in !== 'header') check(parameter.name, parameter.schema, ctx);
    },
  };
};

/** Every 4xx and 5xx is a problem document, wherever it is described. */
const problems = () => ({
  Operation(operation, ctx) {
    for (const [status, given] of Object.entries(operation.responses)) {
      if (!/^([45]|default)/.test(status)) continue;
      const response = given.$ref ? ctx.resolve(given).node : given;
      const media = Object.entries(response.content ?? {});
      const right =
        media.length === 1 &&
        media[0][0] === 'application/problem+json' &&
        media[0][1].schema?.$ref === '#/components/schemas/Problem';
      if (!right) ctx.report({ message: `${status} is answered with application/problem+json and nothing else.` });
    }
  },
});

/** What else may be answered follows from what an operation takes, and is documented. */
const refusals = (options) => ({
  Operation(operation, ctx) {
    const { path, method } = place(ctx);
    const takes = (operation.parameters ?? [])
      .map((parameter) => ctx.resolve(parameter).node?.name ?? parameter.name)
      .filter((name) => !NEVER_REFUSED.has(name));
    const needed = [
      ...['default'],
      ...(method === 'get' ? ['304'] : []),
      ...(path.includes('{') ? ['404'] : []),
      ...(operation.requestBody || takes.length ? ['422'] : []),
      ...(takes.includes('If-Match') ? ['412', '428'] : []),
    ];
    const parsed = operation.requestBody?.content['application/json'] || takes.includes('Idempotency-Key');
    const others = operation.responses.default;
    const ranged = others ? ctx.resolve(others).node['x-problem-statuses'] : [];
    const common = [
      ...[401, 403, 500],
      ...(options.without_database.includes(operation.operationId) ? [] : [503]),
      ...(options.never.includes(operation.operationId) ? [] : [406, 429]),
      ...(method === 'get' ? [] : [...(parsed ? [400] : []), 408, 413, 415]),
    ];
    const missing = [
      ...needed.filter((status) => !(status in operation.responses)),
      ...common.filter((status) => !(status in operation.responses || ranged.includes(status))),
    ];
    if (missing.length) ctx.report({ message: `${operation.operationId} must document ${missing.join(', ')}.` });
  },
});

/**
 * Every schema below one, each once, with a name to report it by. Redocly's own nested visitors stop at the first
 * schema: what a property holds, they do not see.
 */
function* below(schema, ctx, name = '', seen = new Set()) {
  const node = schema.$ref ? ctx.resolve(schema).node : schema;
  if (schema.$ref) name = schema.$ref.split('/').pop();
  if (seen.has(node)) return;
  seen.add(node);
  yield { schema: node, name };
  for (const [property, child] of Object.entries(node.properties ?? {})) {
    yield* below(child, ctx, `${name}.${property}`, seen);
  }
  const others = [node.items, node.additionalProperties, ...['anyOf', 'oneOf', 'allOf'].flatMap((key) => node[key] ?? [])];
  for (const child of others) if (child && typeof child === 'object') yield* below(child, ctx, name, seen);
}

/** What is wrong with any schema of a request, its parameters included or not. */
const inRequests = (wrong, { parameters }) => () => ({
  MediaType(media, ctx) {
    // Of an upload, each line has the bounds of a request.
    if (!ctx.location.pointer.endsWith('/requestBody/content/application~1json')) return;
    for (const { schema, name } of below(media.schema, ctx)) {
      const message = wrong(schema);
      if (message) ctx.report({ message: `${name}: ${message}` });
    }
  },
  Parameter(parameter, ctx) {
    if (!parameters || NEVER_REFUSED.has(parameter.name)) return;
    for (const { schema } of below(parameter.schema, ctx)) {
      const message = wrong(schema);
      if (message) ctx.report({ message: `${parameter.name}: ${message}` });
    }
  },
});

/** The schemas of requests refuse what they do not know. */
const closedRequests = inRequests(
  (schema) =>
    (types(schema).includes('object') || schema.properties) &&
    schema.additionalProperties !== false &&
    'what a request may hold is closed; additionalProperties must be false.',
  { parameters: false },
);

/** Texts, arrays and numbers of a request have bounds. */
const boundedRequests = inRequests(
  (schema) => {
    const kinds = types(schema);
    const chosen = schema.enum || 'const' in schema;
    const text = schema.maxLength !== undefined || SELF_BOUNDED.has(schema.format) || isFinite(schema.pattern ?? '');
    const number = schema.minimum !== undefined && schema.maximum !== undefined;
    const open =
      (kinds.includes('string') && !chosen && !text) ||
      (kinds.includes('array') && schema.maxItems === undefined) ||
      (kinds.some((kind) => ['integer', 'number'].includes(kind)) && !chosen && !number);
    return open && 'a request has bounds: maxLength or a finite pattern, maxItems, minimum and maximum.';
  },
  { parameters: true },
);

/** An array in a response has a greatest length: a client knows what it must be ready for. */
const boundedResponses = () => ({
  MediaType(media, ctx) {
    if (ctx.location.pointer.includes('/requestBody/')) return;
    for (const { schema, name } of below(media.schema, ctx)) {
      if (types(schema).includes('array') && schema.maxItems === undefined) {
        ctx.report({ message: `${name}: an array in a response has maxItems.` });
      }
    }
  },
});

/** A schema is of one direction: what is sent may then be narrowed, and what is answered widened. */
const oneDirection = () => {
  const sent = new Set();
  const answered = new Set();
  return {
    MediaType(media, ctx) {
      const seen = ctx.location.pointer.includes('/requestBody/') ? sent : answered;
      for (const { schema, name } of below(media.schema, ctx)) if (types(schema).includes('object')) seen.add(name);
    },
    Root: {
      leave(_root, ctx) {
        for (const name of sent) if (answered.has(name)) ctx.report({ message: `${name} is both sent and answered.` });
      },
    },
  };
};

const header = (name, applies, options) => ({
  Operation(operation, ctx) {
    const exempt = options.exempt?.includes(operation.operationId) ?? false;
    const found = (operation.parameters ?? [])
      .map((parameter) => (parameter.$ref ? ctx.resolve(parameter).node : parameter))
      .find((parameter) => parameter.in === 'header' && parameter.name === name);
    const wanted = applies(place(ctx).method) && !exempt;
    if (wanted && !found?.required) ctx.report({ message: `${operation.operationId} must require ${name}.` });
    if (!wanted && found) ctx.report({ message: `${operation.operationId} has no use for ${name}.` });
  },
});

/** A POST takes an Idempotency-Key, except those that need none. */
const idempotencyKey = (options) => header('Idempotency-Key', (method) => method === 'post', options);

/** A correction says what it has seen. */
const ifMatch = (options) => header('If-Match', (method) => ['put', 'patch'].includes(method), options);

/** A list is an object with items and next_cursor; no answer is an array. */
const lists = () => ({
  Operation(operation, ctx) {
    for (const [status, given] of Object.entries(operation.responses)) {
      const response = given.$ref ? ctx.resolve(given).node : given;
      const reference = response.content?.['application/json']?.schema;
      if (!status.startsWith('2') || !reference) continue;
      const schema = reference.$ref ? ctx.resolve(reference).node : reference;
      const isList = operation.operationId?.startsWith('list') || schema.properties?.items;
      const fields = schema.required ?? [];
      const whole = fields.includes('items') && fields.includes('next_cursor');
      if (schema.type === 'array' || (isList && !whole)) {
        ctx.report({ message: `${operation.operationId} must answer {items, next_cursor}.` });
      }
    }
  },
});

/** Who needs no token is a short list that somebody has thought about. */
const publicOperations = (options) => ({
  Operation(operation, ctx) {
    const { security, operationId: id } = operation;
    const isPublic = !security?.length || security.some((requirement) => !Object.keys(requirement).length);
    const meant = options.operations.includes(id);
    if (security === undefined) ctx.report({ message: `${id} must say which token it takes, or that it takes none.` });
    else if (isPublic && !meant) ctx.report({ message: `${id} must need a token.` });
    else if (!isPublic && meant) ctx.report({ message: `${id} must not need a token.` });
  },
});

/** An operation says which events it records, and whose data it carries. */
const described = (options) => ({
  Operation(operation, ctx) {
    const { method } = place(ctx);
    const id = operation.operationId;
    const listed = (name) => (Array.isArray(operation[name]) ? operation[name] : undefined);
    const [events, kinds] = ['x-audit-event', 'x-personal-data'].map(listed);
    if (!events || !kinds) ctx.report({ message: `${id} needs x-audit-event and x-personal-data.` });
    else if (method !== 'get' && !events.length && !options.exempt?.includes(id)) {
      ctx.report({ message: `${id} changes something, so that it records an event.` });
    }
  },
});

/** Every property says what its name does not: itself, or the schema that it refers to. */
const propertyDescription = () => ({
  Schema(schema, ctx) {
    if (/\/(if|then|else)$/.test(ctx.location.pointer)) return; // a rule between fields
    for (const [name, shown] of Object.entries(schema.properties ?? {})) {
      const alternatives = [shown, shown.items, ...(shown.anyOf ?? [])].filter(Boolean);
      const said = alternatives.some((each) => each.description || (each.$ref && ctx.resolve(each).node.description));
      if (!said) ctx.report({ message: `${name} has no description: give its field one, or its type.` });
    }
  },
});

/** A success says what it is; FastAPI's own words say nothing. */
const successesSayWhat = () => ({
  Response(response, ctx) {
    if (response.description === 'Successful Response') ctx.report({ message: 'Say what this response is.' });
  },
});

/** A token that is limited to scopes needs one that is named. */
const scopes = ({ unlimited }) => ({
  SecurityRequirement(requirement, ctx) {
    if (unlimited.some((path) => ctx.location.pointer.startsWith(`#/paths/${path.replaceAll('/', '~1')}/`))) return;
    for (const [scheme, named] of Object.entries(requirement)) {
      if (named.length !== 1) ctx.report({ message: `${scheme} must name one scope.` });
    }
  },
});

/** What is sent and what is answered has an example, beside its schema; of a list, the items have. */
const examples = () => ({
  MediaType(media, ctx) {
    const pointer = ctx.location.pointer;
    if (!/\/(requestBody|responses\/2\d\d)\/content\/application~1json$/.test(pointer)) return;
    const resolved = (schema) => (schema.$ref ? ctx.resolve(schema).node : schema);
    const whole = resolved(media.schema);
    const shown = whole.properties?.next_cursor ? resolved(whole.properties.items.items) : whole;
    for (const schema of (shown.oneOf ?? [shown]).map(resolved)) {
      if (!schema.examples?.length) ctx.report({ message: 'An example shows what this looks like.' });
    }
  },
});

/** What was made and has an address leads on. */
const leadsOn = () => ({
  Response(response, ctx) {
    const made = /\/responses\/201$/.test(ctx.location.pointer) && response.headers?.Location;
    if (made && !Object.keys(response.links ?? {}).length) {
      ctx.report({ message: 'Links say what can be read or done next.' });
    }
  },
});

/** A rule for what this service takes: how a webhook is answered is for its receiver to say. */
const ofPaths = (rule) => (options) =>
  Object.fromEntries(
    Object.entries(rule(options)).map(([node, visit]) => {
      const isWebhook = (ctx) => ctx.location.pointer.startsWith('#/webhooks/');
      return [node, typeof visit === 'function' ? (value, ctx) => isWebhook(ctx) || visit(value, ctx) : visit];
    }),
  );

const ours = {
  'operation-id': operationId,
  'path-shape': pathShape,
  'snake-case': snakeCase,
  'names-tell-types': namesTellTypes,
  problems,
  refusals,
  'closed-requests': closedRequests,
  'bounded-requests': boundedRequests,
  'bounded-responses': boundedResponses,
  'one-direction': oneDirection,
  'idempotency-key': idempotencyKey,
  'if-match': ifMatch,
  lists,
  'public-operations': publicOperations,
  described,
  'property-description': propertyDescription,
  'successes-say-what': successesSayWhat,
  scopes,
  examples,
  'leads-on': leadsOn,
};

export default () => ({
  id: 'mediation',
  rules: { oas3: Object.fromEntries(Object.entries(ours).map(([name, rule]) => [name, ofPaths(rule)])) },
});
