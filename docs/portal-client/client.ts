// The client: types from the contract, a token per caller, retries that are safe, answers that are checked.
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./contract.js";

export type Problem = components["schemas"]["Problem"];
export type Api = Client<paths>;

/** A refusal. Go by `problem.code`; `detail` is for people, and its words may change. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(`${status} ${problem.code}: ${problem.detail}`);
  }
}

/** A client that speaks for whoever holds the token; without one, for the public. */
export function clientFor(baseUrl: string, token?: string): Api {
  return createClient<paths>({ baseUrl, headers: token ? { Authorization: `Bearer ${token}` } : {} });
}

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What was read, and the answer that it came in. */
export interface Read<T> {
  data: T;
  response: Response;
}

const pause = (seconds: number): Promise<void> => new Promise((done) => setTimeout(done, seconds * 1000));

/** Send, and send again when the network failed or the service is busy (429, 503), until there is an answer. */
async function settled<T>(send: () => Promise<Answered<T>>, tries: number): Promise<Answered<T>> {
  for (let left = tries - 1; ; left -= 1) {
    const answered = await send().catch((failure: unknown) => {
      if (left === 0 || !(failure instanceof TypeError)) throw failure; // fetch says TypeError when the network fails
      return undefined;
    });
    if (answered && (left === 0 || ![429, 503].includes(answered.response.status))) return answered;
    await pause(Number(answered?.response.headers.get("Retry-After") ?? 1));
  }
}

/** Send until there is an answer, and give what it holds. What is sent must be the same each time. */
export async function ask<T>(send: () => Promise<Answered<T>>, tries = 5): Promise<Read<T>> {
  const { data, error, response } = await settled(send, tries);
  if (data !== undefined) return { data, response };
  if (response.status === 304) throw new Error("A 304 has no body: read again with reread(), which keeps what you have.");
  throw new Refused(response.status, error as Problem);
}

/** Read again what was read before. The answer 304 has no body: what you have is what there is. */
export async function reread<T>(
  kept: Read<T>,
  send: (header: { "If-None-Match": string }) => Promise<Answered<T>>,
): Promise<Read<T>> {
  const header = { "If-None-Match": tagOf(kept.response) };
  const { data, error, response } = await settled(() => send(header), 5);
  if (response.status === 304) return { data: kept.data, response };
  if (data !== undefined) return { data, response };
  throw new Refused(response.status, error as Problem);
}

/** The same for a POST, with one new key for all its tries. */
export function post<T>(send: (header: { "Idempotency-Key": string }) => Promise<Answered<T>>) {
  const header = { "Idempotency-Key": crypto.randomUUID() };
  return ask(() => send(header));
}

/** The tag of what was read. A correction names it in If-Match. */
export function tagOf(response: Response): string {
  const tag = response.headers.get("ETag");
  if (tag === null) throw new Error("There is no ETag. Across origins a browser shows it only if CORS exposes it.");
  return tag;
}

/** Everything in a list, page by page. A cursor is opaque: send it back as it came. */
export async function* everything<T>(
  page: (cursor?: string) => Promise<{ items: T[]; next_cursor: string | null }>,
): AsyncGenerator<T> {
  let cursor: string | null | undefined;
  do {
    const { items, next_cursor } = await page(cursor ?? undefined);
    yield* items;
    cursor = next_cursor;
  } while (cursor !== null);
}
