import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { z } from 'zod'
import { HansaError } from '../process/errors.ts'
import { anonymousClientTls } from './tls.ts'

const deadlineMilliseconds = 10_000
// An envelope has 256 KiB at most.
const maxAnswerBytes = 512 * 1024
const maxTokenBytes = 16 * 1024
const answerSchema = z.object({ certificate: z.string().max(16 * 1024) })
const ownerAnswerSchema = answerSchema.extend({ authorities: z.array(z.string().max(8192)).min(1).max(4) })
const envelopeAnswerSchema = z.object({ envelope: z.string().max(262_144) })
const refusalSchema = z.object({ error: z.object({ reason: z.string().max(100), message: z.string().max(1000) }) })

/** How to ask the certificate endpoint. */
export type Asking = {
  caUrl: string
  caPem: string
  /** URI that the endpoint must prove before it is shown the token. */
  authority: string
  tokenFile: string
  signal: AbortSignal
}

/** Asks the certificate endpoint once. The token is read at each call: the kubelet replaces it. Throws HansaError. */
export async function requestCertificate(
  deps: Asking & { csrPem: string; dnsNames: readonly string[] },
): Promise<string> {
  const text = await ask('/v1/certificates', { csr: deps.csrPem, dnsNames: deps.dnsNames }, deps)
  return answerSchema.parse(JSON.parse(text)).certificate
}

/** Asks once for a certificate of an Identity; also answers with the authorities (PEM) of its bundle. Throws HansaError. */
export async function requestOwnerCertificate(
  deps: Asking & { csrPem: string; identityName: string },
): Promise<{ certificate: string; authorities: string[] }> {
  const text = await ask(`/v1/identities/${deps.identityName}/certificates`, { csr: deps.csrPem }, deps)
  return ownerAnswerSchema.parse(JSON.parse(text))
}

/** Has the operator sign something for the ledger in the name of an Identity; gives the envelope. Throws HansaError. */
export async function requestReceiptSignature(deps: Asking & { identityName: string; body: object }): Promise<string> {
  const text = await ask(`/v1/identities/${deps.identityName}/receipts`, deps.body, deps)
  return envelopeAnswerSchema.parse(JSON.parse(text)).envelope
}

async function ask(path: string, payload: object, deps: Asking): Promise<string> {
  const token = await readToken(deps.tokenFile)
  const body = JSON.stringify(payload)
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(deadlineMilliseconds)])
  const answer = await post(new URL(path, deps.caUrl), { ...deps, token, body, signal })
  if (answer.status !== 200) throw refusal(answer)
  return answer.text
}

type Answer = { status: number; retryAfter: string | undefined; text: string }

function post(
  url: URL,
  deps: { caPem: string; authority: string; token: string; body: string; signal: AbortSignal },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        ...anonymousClientTls(deps.caPem, deps.authority),
        method: 'POST',
        agent: false,
        signal: deps.signal,
        headers: {
          authorization: `Bearer ${deps.token}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(deps.body),
        },
      },
      (incoming) => read(incoming).then(resolve, reject),
    )
    outgoing.on('error', (cause) => {
      reject(
        new HansaError(
          'AuthorityUnreachable',
          `the certificate endpoint ${url.host} did not answer: ${cause.message}`,
          {
            cause,
          },
        ),
      )
    })
    outgoing.end(deps.body)
  })
}

async function read(incoming: IncomingMessage): Promise<Answer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of incoming) {
    bytes += part.length
    if (bytes > maxAnswerBytes) throw new HansaError('AnswerTooLong', 'the certificate endpoint answered too much')
    parts.push(part)
  }
  return {
    status: incoming.statusCode ?? 0,
    retryAfter: incoming.headers['retry-after'],
    text: Buffer.concat(parts).toString('utf8'),
  }
}

async function readToken(file: string): Promise<string> {
  const token = (await readFile(file, 'utf8')).trim()
  if (token !== '' && token.length <= maxTokenBytes && /^[\x21-\x7e]+$/.test(token)) return token
  throw new HansaError('TokenUnusable', `the file ${file} holds no service account token`)
}

function refusal(answer: Answer): HansaError {
  const afterSeconds = /^\d{1,4}$/.test(answer.retryAfter ?? '') ? Number(answer.retryAfter) : undefined
  const { reason, message } = refusalOf(answer.text)
  return new HansaError(reason, `the certificate endpoint refused (${answer.status}): ${message}`, {
    retry: afterSeconds === undefined ? 'backoff' : 'after',
    ...(afterSeconds === undefined ? {} : { afterSeconds }),
  })
}

function refusalOf(text: string): { reason: string; message: string } {
  try {
    return refusalSchema.parse(JSON.parse(text)).error
  } catch {
    return { reason: 'CertificateRefused', message: 'no reason given' }
  }
}
