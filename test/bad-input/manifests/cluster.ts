import { messageOf } from '@hansa/operator/process/errors.ts'
import { z } from 'zod'
import { installDefinitions } from '../../cluster/definitions.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import type { Observed, Started } from '../case.ts'
import { httpsModel, service } from './valid.ts'

/** The namespace of the attempts; nothing must ever be stored in it. */
export const namespace = 'bad-input'
/** A namespace with the valid objects `served` and `stored`, for refused updates. */
export const updatesNamespace = 'bad-input-updates'
/** A namespace whose tenant may write its Models and InferenceServices and nothing else. */
export const tenantNamespace = 'bad-input-tenant'

export type ManifestContext = { readonly owner: Owner; readonly tenantToken: string }

const statusSchema = z.looseObject({ message: z.string(), reason: z.string().optional() })
const listSchema = z.looseObject({ items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })) })
const plurals = ['models', 'inferenceservices']

/** The path of a collection or of one object, with strict field validation as `kubectl` asks for. */
export function apiPath(kind: string, name?: string, within = namespace): string {
  const base = `/apis/hansa.dev/v1alpha1/namespaces/${within}/${kind.toLowerCase()}s`
  return `${base}${name === undefined ? '' : `/${name}`}?fieldValidation=Strict`
}

/** Sends one request and says whether the API server refused it. */
export async function attempt(owner: Owner, request: Parameters<Owner['request']>[0]): Promise<Observed> {
  const { status, body } = await owner.request(request)
  if (status < 300) return { outcome: 'accepted', detail: `${status}` }
  const parsed = statusSchema.safeParse(body)
  const message = parsed.success ? parsed.data.message : JSON.stringify(body)
  if (status >= 500) return { outcome: 'crashed', detail: `the API server answers ${status}: ${message}` }
  const reason = parsed.success ? parsed.data.reason : undefined
  return { outcome: 'refused', status, message, ...(reason === undefined ? {} : { reason }) }
}

/** A control plane with our definitions, a tenant, and two valid objects. */
export async function startManifests(): Promise<Started<ManifestContext>> {
  const owner = await startOwner({ name: 'bad-input' })
  try {
    await installDefinitions(owner)
    await createAll(owner)
    const tenantToken = await owner.createToken('tenant', tenantNamespace)
    return { context: { owner, tenantToken }, alive: () => stillEmpty(owner), stop: () => owner.stop() }
  } catch (error) {
    await owner.stop()
    throw error
  }
}

async function createAll(owner: Owner): Promise<void> {
  const rbac = 'rbac.authorization.k8s.io'
  const objects: [string, object][] = [
    ...[namespace, updatesNamespace, tenantNamespace].map((name): [string, object] => [
      '/api/v1/namespaces',
      { metadata: { name } },
    ]),
    [`/api/v1/namespaces/${tenantNamespace}/serviceaccounts`, { metadata: { name: 'tenant' } }],
    [
      `/apis/${rbac}/v1/namespaces/${tenantNamespace}/roles`,
      { metadata: { name: 'tenant' }, rules: [{ apiGroups: ['hansa.dev'], resources: plurals, verbs: ['*'] }] },
    ],
    [
      `/apis/${rbac}/v1/namespaces/${tenantNamespace}/rolebindings`,
      {
        metadata: { name: 'tenant' },
        roleRef: { apiGroup: rbac, kind: 'Role', name: 'tenant' },
        subjects: [{ kind: 'ServiceAccount', name: 'tenant', namespace: tenantNamespace }],
      },
    ],
    [apiPath('Model', undefined, updatesNamespace), httpsModel('stored')],
    [apiPath('InferenceService', undefined, updatesNamespace), service('served')],
    [apiPath('InferenceService', undefined, tenantNamespace), service('served')],
  ]
  for (const [path, body] of objects) {
    const { status, body: answer } = await owner.request({ method: 'POST', path, body })
    if (status >= 300) throw new Error(`cannot create ${path}: ${JSON.stringify(answer)}`)
  }
}

async function stillEmpty(owner: Owner): Promise<string | undefined> {
  try {
    for (const plural of plurals) {
      const { status, body } = await owner.request({
        path: `/apis/hansa.dev/v1alpha1/namespaces/${namespace}/${plural}`,
      })
      if (status !== 200) return `the API server answers ${status} to a list`
      const [first] = listSchema.parse(body).items
      if (first !== undefined) return `${plural} ${first.metadata.name} was stored`
    }
    return undefined
  } catch (error) {
    return `the API server does not answer: ${messageOf(error)}`
  }
}
