import { Agent, request } from 'undici'
import { z } from 'zod'
import type { Owner } from '../../cluster/owner.ts'
import type { Credential } from './haul.ts'

const reviewSchema = z.object({ status: z.object({ userInfo: z.object({ username: z.string() }) }) })

/**
 * Asks an API server who somebody is (SelfSubjectReview): a name, or undefined where it takes him for nobody. What an anonymous
 * caller may do besides (versions, health) needs no credential and is none's merit.
 */
export async function whoIs(
  owner: Pick<Owner, 'serverUrl' | 'caPem'>,
  credential: Credential | undefined,
): Promise<string | undefined> {
  const own = credential?.kind === 'Certificate' ? { cert: credential.certPem, key: credential.keyPem } : {}
  const agent = new Agent({ connect: { ca: owner.caPem, ...own } })
  try {
    const response = await request(`${owner.serverUrl}/apis/authentication.k8s.io/v1/selfsubjectreviews`, {
      method: 'POST',
      dispatcher: agent,
      signal: AbortSignal.timeout(30_000),
      headers: {
        'content-type': 'application/json',
        ...(credential?.kind === 'Token' && { authorization: `Bearer ${credential.token}` }),
      },
      body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
    })
    const text = await response.body.text()
    if (response.statusCode === 401 || response.statusCode === 403) return undefined
    if (response.statusCode !== 201) throw new Error(`the API server answers ${response.statusCode}: ${text}`)
    const { username } = reviewSchema.parse(JSON.parse(text)).status.userInfo
    return username === 'system:anonymous' ? undefined : username
  } finally {
    await agent.destroy()
  }
}
