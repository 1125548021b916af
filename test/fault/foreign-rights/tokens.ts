import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import type { Installation } from '../../cluster/hansa/installation.ts'
import { doorsOf } from './doors.ts'

/** Where a bearer token might be taken: the gateway's users and the certificate authority. */
export async function tokenDoors(installation: Installation) {
  const doors = await doorsOf(installation)
  const at = (process: string, port: string, method: 'GET' | 'POST', path: string) =>
    doors
      .filter((door) => door.process === process && door.port === port)
      .map(({ host, number }) => ({ name: `${process} ${path}`, method, url: `https://${host}:${number}${path}` }))
  return [
    ...at('gateway', 'https', 'GET', '/digits/digits/v2/models/digits'),
    ...at('operator', 'certificates', 'POST', '/v1/certificates'),
  ]
}

/** Whether a token gets further there than to a refusal of its bearer (401, 403). */
export async function opens(
  door: { method: 'GET' | 'POST'; url: string },
  token: string,
  csr: string,
): Promise<boolean> {
  const agent = new Agent({ connect: { rejectUnauthorized: false } }) // who answers is not the question
  try {
    const response = await request(door.url, {
      method: door.method,
      dispatcher: agent,
      signal: AbortSignal.timeout(30_000),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(door.method === 'POST' && { body: JSON.stringify({ csr }) }),
    })
    await response.body.dump()
    if (response.statusCode === 429) {
      await sleep(500) // says nothing of the bearer: it is asked once more
      return opens(door, token, csr)
    }
    return response.statusCode !== 401 && response.statusCode !== 403
  } finally {
    await agent.destroy()
  }
}
