import type { BadInputCase } from '../case.ts'
import { apiPath, attempt, type ManifestContext, namespace, tenantNamespace, updatesNamespace } from './cluster.ts'
import { httpsModel, service } from './valid.ts'

type Case = BadInputCase<ManifestContext>

/** What a tenant with all rights in its own namespace tries outside it, or on what only the operator writes. */
export function otherNamespaces(): Case[] {
  const forbidden = { status: 403, message: 'is forbidden' }
  const asTenant = (
    name: string,
    request: { method: 'POST' | 'PATCH' | 'GET'; path: string; body?: object },
  ): Case => ({
    name: `tenant: ${name}`,
    expected: forbidden,
    run: ({ owner, tenantToken }) => attempt(owner, { ...request, token: tenantToken }),
  })
  return [
    asTenant('creates in another namespace', {
      method: 'POST',
      path: apiPath('InferenceService'),
      body: service('tenant'),
    }),
    asTenant('creates a Model in another namespace', {
      method: 'POST',
      path: apiPath('Model'),
      body: httpsModel('tenant'),
    }),
    asTenant('reads another namespace', { method: 'GET', path: apiPath('Model', 'stored', updatesNamespace) }),
    asTenant('lets itself into the service of another namespace', {
      method: 'PATCH',
      path: apiPath('InferenceService', 'served', updatesNamespace),
      body: { spec: { access: { serviceAccounts: [{ namespace: tenantNamespace, name: 'tenant' }] } } },
    }),
    asTenant('writes the status of its own service', {
      method: 'PATCH',
      path: apiPath('InferenceService', 'served/status', tenantNamespace),
      body: { status: { url: 'https://evil.example/' } },
    }),
    asTenant('calls itself Public', {
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace}`,
      body: { metadata: { labels: { 'hansa.dev/data-class': 'Public' } } },
    }),
  ]
}
