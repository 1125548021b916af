import type { Container, PodSpec } from './render.ts'

const volumeTypes = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]

/**
 * What keeps a pod from the restricted Pod Security Standard (v1.36) and from Hansa's own rules beyond it: read-only root file
 * system, requests, memory limit, no token unless said so.
 */
export function violations(pod: PodSpec): string[] {
  const found: string[] = []
  const context = pod.securityContext ?? {}
  if (pod.hostNetwork || pod.hostPID || pod.hostIPC) found.push('shares a namespace of its node')
  if (context.runAsNonRoot !== true) found.push('may run as root')
  if (context.runAsUser === 0) found.push('runs as root')
  if (!isSeccomp(context.seccompProfile)) found.push('has no seccomp profile')
  if (pod.automountServiceAccountToken === undefined) found.push('does not say whether it gets a token')
  for (const volume of pod.volumes ?? []) {
    const type = Object.keys(volume).find((key) => key !== 'name') ?? 'emptyDir'
    if (!volumeTypes.includes(type)) found.push(`volume ${volume.name} is of type ${type}`)
  }
  for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
    found.push(...containerViolations(container).map((what) => `container ${container.name} ${what}`))
  }
  return found
}

function containerViolations({ securityContext = {}, resources }: Container): string[] {
  const found: string[] = []
  const { allowPrivilegeEscalation, privileged, capabilities, readOnlyRootFilesystem } = securityContext
  if (allowPrivilegeEscalation !== false) found.push('may escalate')
  if (privileged) found.push('is privileged')
  if (JSON.stringify(capabilities) !== '{"drop":["ALL"]}') found.push('keeps capabilities')
  if (readOnlyRootFilesystem !== true) found.push('may write its root file system')
  if (securityContext.runAsNonRoot === false || securityContext.runAsUser === 0) found.push('runs as root')
  if (resources?.requests === undefined) found.push('has no requests')
  if (!Object.hasOwn(resources?.limits ?? {}, 'memory')) found.push('has no memory limit')
  return found
}

function isSeccomp(profile: unknown): boolean {
  return JSON.stringify(profile) === '{"type":"RuntimeDefault"}'
}
