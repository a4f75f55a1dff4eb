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

const pause = (seconds: number): Promise<void> => new Promise((done) => setTimeout(done, seconds * 1000));

/**
 * Send, and send again when the network failed or the service is busy (429, 503). What is sent must be the same each
 * time.
 */
export async function ask<T>(send: () => Promise<Answered<T>>, tries = 5): Promise<{ data: T; response: Response }> {
  for (let left = tries - 1; ; left -= 1) {
    const answered = await send().catch((failure: unknown) => {
      if (left === 0 || !(failure instanceof TypeError)) throw failure; // fetch says TypeError when the network fails
      return undefined;
    });
    if (answered?.data !== undefined) return { data: answered.data, response: answered.response };
    if (answered !== undefined) {
      const problem = answered.error as Problem;
      const busy = [429, 503].includes(answered.response.status);
      if (left === 0 || !busy) throw new Refused(answered.response.status, problem);
    }
    await pause(Number(answered?.response.headers.get("Retry-After") ?? 1));
  }
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
