// What a portal does first: file a complaint, exchange the access code, agree. Compiled, never run: it shows that the
// types made of the contract carry a client from one answer to the next request.
import createClient from 'openapi-fetch';
import type { components, paths } from './build/contract.js';

type Problem = components['schemas']['Problem'];

class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.code);
  }
}

function taken<T>(answer: { data?: T; error?: Problem | undefined }): T {
  if (answer.data === undefined) throw answer.error ? new Refused(answer.error) : new Error('no answer');
  return answer.data;
}

export async function fileAndAgree(baseUrl: string): Promise<components['schemas']['ConsentOut']> {
  const api = createClient<paths>({ baseUrl });
  const once = () => ({ 'Idempotency-Key': crypto.randomUUID() });

  const filed = taken(
    await api.POST('/v1/complaints', {
      params: { header: once() },
      body: {
        narrative: 'She would not tell me why I was stopped.',
        allegations: ['discourtesy'],
        interested_in_mediation: true,
        parties: [{ side: 'complainant', name: 'Ada Example' }],
      },
    }),
  );
  const [given] = filed.access_codes;
  if (filed.case_id === null || given === undefined) throw new Error('nobody asked for mediation');

  const { access_token } = taken(
    await api.POST('/v1/access-tokens', { body: { access_code: given.access_code } }),
  );
  const headers = { Authorization: `Bearer ${access_token}` };

  const shown = taken(await api.GET('/v1/disclosures', { params: { query: { language: 'en' } } }));
  const [disclosure] = shown.items;
  if (disclosure === undefined) throw new Error('no disclosure in this language');

  return taken(
    await api.POST('/v1/cases/{case_id}/consents', {
      params: { path: { case_id: filed.case_id }, header: once() },
      headers,
      body: { decision: 'agreed', disclosure_sha256: disclosure.sha256 },
    }),
  );
}

// The case has a form for each audience, which `audience` tells apart.
export function status(seen: components['schemas']['CaseForPartyOut'] | components['schemas']['CaseOut']): string {
  return seen.audience === 'party' ? seen.status : seen.state;
}
