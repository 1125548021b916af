import type { KeyEntry } from './access-key.ts'

/** Who a verified token or key stands for. */
export type Principal =
  | { kind: 'serviceAccount'; namespace: string; name: string }
  | { kind: 'oidc'; issuerName: string; subject: string; groups: readonly string[] }
  /** Another owner's gateway, for a request of its users. */
  | { kind: 'peer'; name: string }
  /** Every AccessKey that holds the secret; which one counts depends on the service. */
  | { kind: 'accessKey'; id: string; entries: readonly KeyEntry[] }

/** How the access log names a caller. */
export function callerName(principal: Principal): string {
  switch (principal.kind) {
    case 'serviceAccount':
      return `system:serviceaccount:${principal.namespace}:${principal.name}`
    case 'oidc':
      return `${principal.issuerName}:${principal.subject}`
    case 'accessKey':
      return `accesskey:${principal.id}`
    case 'peer':
      return `peer:${principal.name}`
    default:
      return principal satisfies never
  }
}

/** The AccessKey that lets this caller use a service; undefined for callers without a key, and where none does. */
export function keyFor(principal: Principal, namespace: string, service: string): KeyEntry | undefined {
  if (principal.kind !== 'accessKey') return undefined
  return principal.entries.find((entry) => entry.namespace === namespace && entry.services.has(service))
}
