import type { ContractCase, GrpcCase, RestCase, StreamCase } from './case.ts'
import { difference } from './matches.ts'
import type { Target } from './target.ts'

export type CaseResult = {
  /** What was not as the specification says; undefined when all was. */
  readonly wrong: string | undefined
  /** The words of a refusal. */
  readonly words: string | undefined
}

/** Runs one row against one target and compares the answer with it. */
export async function runCase(row: ContractCase, target: Target): Promise<CaseResult> {
  try {
    if (row.protocol === 'REST') return await runRest(row, target)
    return row.protocol === 'gRPC' ? await runGrpc(row, target) : await runStream(row, target)
  } catch (error) {
    return { wrong: `no answer: ${error instanceof Error ? error.message : String(error)}`, words: undefined }
  }
}

async function runRest(row: RestCase, target: Target): Promise<CaseResult> {
  const { expect } = row
  const method = row.method ?? 'GET'
  const answer = await target.rest(row.service, {
    method,
    path: named(row.path, target.restModel(row.service)),
    headers: { ...(row.body !== undefined && { 'content-type': 'application/json' }), ...row.headers },
    body: row.body,
  })
  const told = errorOf(answer.json)
  const wrong =
    (answer.status === expect.status ? undefined : `status ${answer.status} (${told}) instead of ${expect.status}`) ??
    (expect.status >= 400 && method !== 'HEAD' && told === '' ? 'a refusal without a string error' : undefined) ??
    (method === 'HEAD' && answer.json !== undefined ? 'a body for HEAD' : undefined) ??
    difference(answer.json, expect.json === undefined ? answer.json : named(expect.json, row.service)) ??
    (expect.binary === undefined ? undefined : difference(answer.binary, expect.binary, 'binary')) ??
    difference(answer.headers, expect.headers ?? {}, 'headers')
  return { wrong, words: told }
}

async function runGrpc(row: GrpcCase, target: Target): Promise<CaseResult> {
  const { expect } = row
  const outcome = await target.unary(row.service, row.call, row.request, {
    metadata: row.metadata ?? {},
    // grpc-js would write its own deadline over one in the metadata.
    deadlineMs: row.metadata?.['grpc-timeout'] === undefined ? (row.deadlineMs ?? 30_000) : undefined,
  })
  const wrong =
    (outcome.code === expect.code
      ? undefined
      : `code ${outcome.code} (${outcome.details}) instead of ${expect.code}`) ??
    (expect.code !== 0 && outcome.details === '' ? 'a refusal without a message' : undefined) ??
    (expect.response === undefined ? undefined : difference(outcome.response, named(expect.response, row.service))) ??
    difference(outcome.metadata, expect.metadata ?? {}, 'metadata')
  return { wrong, words: outcome.details }
}

async function runStream(row: StreamCase, target: Target): Promise<CaseResult> {
  const { expect } = row
  const { code, details, answers } = await target.stream(row.service, row.requests, {
    metadata: row.metadata ?? {},
    deadlineMs: 30_000,
  })
  const result = (wrong: string | undefined): CaseResult => ({ wrong, words: undefined })
  if (code !== expect.code) return result(`code ${code} (${details}) instead of ${expect.code}`)
  if (answers.length !== expect.answers.length) {
    return result(`${answers.length} answers instead of ${expect.answers.length}`)
  }
  for (const wanted of expect.answers) {
    const found = answers.filter((answer) => difference(answer, { infer_response: { id: wanted.id } }) === undefined)
    if (found.length !== 1) return result(`${found.length} answers with id ${wanted.id} instead of one`)
    const wrong = difference(found[0], {
      error_message: wanted.failed === true ? /./ : '',
      ...(wanted.response !== undefined && { infer_response: named(wanted.response, row.service) }),
    })
    if (wrong !== undefined) return result(`answer ${wanted.id}${wrong}`)
  }
  return result(undefined)
}

function errorOf(json: unknown): string {
  // Whatever JSON it is: anything but an object with a string `error` counts as no words.
  const error = (json as { error?: unknown } | null | undefined)?.error
  return typeof error === 'string' ? error : ''
}

/** A copy in which every `{model}` is the model's name. */
export function named<T>(value: T, name: string): T {
  if (typeof value === 'string') return value.replaceAll('{model}', name) as T // A string again.
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof RegExp)
    return value
  if (Array.isArray(value)) return value.map((each) => named(each, name)) as T // An array of the same elements.
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, named(each, name)])) as T // The same members.
}
