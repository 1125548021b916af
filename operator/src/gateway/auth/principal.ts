/** Who a verified token stands for. */
export type Principal =
  | { kind: 'serviceAccount'; namespace: string; name: string }
  | { kind: 'oidc'; issuerName: string; subject: string; groups: readonly string[] }

/** How the access log names a caller. */
export function callerName(principal: Principal): string {
  return principal.kind === 'serviceAccount'
    ? `system:serviceaccount:${principal.namespace}:${principal.name}`
    : `${principal.issuerName}:${principal.subject}`
}
