import { Agent, request } from 'undici'
import { z } from 'zod'
import { type FetchStateAnswer, fetchStateSchema, fetchStatesSchema } from '../api/fetch-state.ts'
import type { Model } from '../api/model.ts'
import { type ModelReason, modelReasons } from '../api/model-reasons.ts'
import { identityConnector } from '../identity/connector.ts'
import type { Identity } from '../identity/identity.ts'
import { HansaError, messageOf } from '../process/errors.ts'

const maxAnswerBytes = 16 * 1024 * 1024
const timeoutMilliseconds = 10_000

const errorSchema = z.object({ error: z.object({ reason: z.string().max(64), message: z.string().max(2000) }) })

/** How far the fetch worker is with one Model. */
export type FetchState = Omit<FetchStateAnswer, 'reason' | 'fetchedBytes' | 'totalBytes' | 'retryAt'> & {
  reason: ModelReason
}

/** The fetch worker's interface, as docs/architecture.md has it. Throws HansaError: `FetchWorkerUnreachable`, or the worker's own reason. */
export type FetchClient = {
  list(signal: AbortSignal): Promise<FetchState[]>
  put(model: Model, signal: AbortSignal): Promise<FetchState>
  delete(uid: string, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export function createFetchClient(deps: { url: string; uri: string; identity: Identity }): FetchClient {
  const agent = new Agent({ connect: identityConnector(deps.identity, deps.uri), connections: 4 })

  async function call(
    method: 'GET' | 'PUT' | 'DELETE',
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<unknown> {
    try {
      const answer = await request(`${deps.url}${path}`, {
        dispatcher: agent,
        method,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMilliseconds)]),
        ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      })
      const text = await readBounded(answer.body)
      if (method === 'DELETE' && answer.statusCode === 404) return undefined
      if (answer.statusCode >= 300) throw refusal(`${method} ${path}`, answer.statusCode, text)
      return text === '' ? undefined : JSON.parse(text)
    } catch (error) {
      if (signal.aborted || error instanceof HansaError) throw error
      throw new HansaError(
        'FetchWorkerUnreachable',
        `the fetch worker at ${deps.url} does not answer: ${messageOf(error)}`,
        {
          hint: 'check that the fetch Deployment of the chart is ready',
          cause: error,
        },
      )
    }
  }

  return {
    list: async (signal) =>
      fetchStatesSchema.parse(await call('GET', '/v1/models', undefined, signal)).items.map(known),
    put: async (model, signal) => {
      const answer = await call('PUT', `/v1/models/${model.metadata.uid ?? ''}`, requestFor(model), signal)
      return known(fetchStateSchema.parse(answer))
    },
    delete: async (uid, signal) => {
      await call('DELETE', `/v1/models/${uid}`, undefined, signal)
    },
    close: () => agent.close(),
  }
}

function requestFor({ metadata, spec }: Model) {
  const { namespace, name, uid, generation } = metadata
  const { format, source, files, entrypoint } = spec
  return { namespace, name, uid, generation, format, source, files, ...(entrypoint !== undefined && { entrypoint }) }
}

/** What the fetch worker answered instead: one that it gave a reason for is tried again only seldom. */
function refusal(call: string, status: number, text: string): HansaError {
  let answer: z.infer<typeof errorSchema> | undefined
  try {
    answer = errorSchema.safeParse(JSON.parse(text)).data
  } catch {
    // Not the fetch worker's own words, so not worth repeating.
    answer = undefined
  }
  const { reason, message } = answer?.error ?? { reason: 'FetchWorkerUnreachable', message: 'no reason given' }
  return new HansaError(reason, `the fetch worker refuses ${call} with status ${status}: ${reason}: ${message}`, {
    hint: 'see the log of the fetch Deployment of the chart',
    ...(status < 500 || status === 507 ? { retry: 'after', afterSeconds: 60 } : {}),
  })
}

/** A newer fetch worker may know reasons that this operator does not; they read as the general one of their phase. */
function known(state: FetchStateAnswer): FetchState {
  const reason = modelReasons.find((each) => each === state.reason)
  if (reason !== undefined) return { ...state, reason }
  const general = {
    Pending: 'Pending',
    Fetching: 'Fetching',
    Verified: 'Verified',
    Failed: 'SourceUnreachable',
  } as const
  return { ...state, reason: general[state.phase], message: `${state.reason}: ${state.message}` }
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
