import { kinds } from '@hansa/operator/api/generate/kinds.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { createClient } from '@hansa/operator/kube/client.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { z } from 'zod'
import { remoteWork } from '../../builders/remote-work.ts'
import type { Owner } from '../../cluster/owner.ts'
import { releaseNamespace } from './render.ts'
import { sampleOf } from './sample.ts'

export const elsewhere = 'wards'
const requestId = '0a1b2c3d-0000-4000-8000-000000000000'

const specs = {
  GuestWork: { peerRef: { name: 'university' }, requestId, request: '{}' },
  RemoteWork: remoteWork('any').spec,
  Peer: { identityRef: { name: 'main' } },
}

/** The parts of each status that the link may write. */
const own = { GuestWork: ['inbox', 'delivered'], RemoteWork: ['inbox', 'delivered'], Peer: ['links'] }

export type LinkKind = keyof typeof own
export type StatusField = { kind: LinkKind; field: string; values: readonly unknown[] }

function schemaOf(kind: LinkKind): z.ZodObject {
  const found = kinds.find((each) => each.kind === kind)?.status
  if (!(found instanceof z.ZodObject)) throw new Error(`the status of ${kind} is no object`)
  return found
}

const fields: StatusField[] = (['GuestWork', 'RemoteWork', 'Peer'] as const).flatMap((kind) => {
  const samples = [1, 2].map((seed) => z.record(z.string(), z.unknown()).parse(sampleOf(schemaOf(kind), seed)))
  return Object.keys(schemaOf(kind).shape).map((field) => ({ kind, field, values: samples.map((each) => each[field]) }))
})

/** Every field of the three kinds of status, with two values, as their schemas have them. */
export const ownFields = fields.filter(({ kind, field }) => own[kind].includes(field))
export const foreignFields = fields.filter(({ kind, field }) => !own[kind].includes(field))

/** A status with the first value of all fields. */
export function fullStatus(kind: LinkKind): Record<string, unknown> {
  return Object.fromEntries(fields.filter((each) => each.kind === kind).map(({ field, values }) => [field, values[0]]))
}

const namespaceOf = (kind: LinkKind) => ({ GuestWork: releaseNamespace, RemoteWork: elsewhere, Peer: undefined })[kind]

export function objectOf(kind: LinkKind, name: string, status?: object) {
  const namespace = namespaceOf(kind)
  const metadata = { name, ...(namespace !== undefined && { namespace }) }
  return { apiVersion, kind, metadata, spec: specs[kind], ...(status !== undefined && { status }) }
}

export function pathOf(kind: LinkKind, name = '', namespace = namespaceOf(kind)): string {
  const where = namespace === undefined ? '' : `/namespaces/${namespace}`
  return `/apis/${apiVersion}${where}/${kind.toLowerCase()}s${name === '' ? '' : `/${name}`}`
}

/** The client of the link, with the rights of its service account. */
export async function linkClient(owner: Owner): Promise<{ token: string; client: KubeClient }> {
  const token = await owner.createToken('hansa-link', releaseNamespace)
  const trust = { ca: owner.caPem }
  const cluster = {
    name: owner.name,
    server: owner.serverUrl,
    namespace: releaseNamespace,
    tls: () => trust,
    headers: () => Promise.resolve({ authorization: `Bearer ${token}` }),
  }
  return { token, client: createClient({ cluster, userAgent: 'hansa-link' }) }
}
