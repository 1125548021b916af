import { z } from 'zod'
import type { Cluster } from '../../cluster/cluster.ts'
import { podProbes } from './pod-probes.ts'

/** What a service account can do, by namespace, as lines such as `secrets hansa-ca: get` and `models.hansa.dev: get list watch`. */
export type EffectiveRights = Record<string, Record<string, string[]>>

type Account = { namespace: string; name: string }

const reviewSchema = z.object({
  status: z.object({
    incomplete: z.boolean(),
    resourceRules: z.array(
      z.object({
        verbs: z.array(z.string()),
        apiGroups: z.array(z.string()).default([]),
        resources: z.array(z.string()).default([]),
        resourceNames: z.array(z.string()).default([]),
      }),
    ),
    nonResourceRules: z
      .array(z.object({ verbs: z.array(z.string()), nonResourceURLs: z.array(z.string()).default([]) }))
      .default([]),
  }),
})

/**
 * Asks the API server, with each account's own token, what it may do in each namespace; what every account may is left out.
 * Who can make a pod that takes a Secret, or a token of another account, has all Secrets and accounts of that namespace: that is
 * tried, by making such pods in every way there is, and stands in the table as what it is worth.
 */
export async function effectiveRights(
  cluster: Cluster,
  accounts: readonly Account[],
  namespaces: readonly string[],
): Promise<EffectiveRights> {
  const nobody = { namespace: namespaces[0] ?? 'default', name: 'default' }
  const rights: EffectiveRights = {}
  for (const account of accounts) {
    const byNamespace = new Map<string, Set<string>>()
    for (const namespace of namespaces) {
      const everybodys = await linesOf(cluster, nobody, namespace)
      const lines = new Set([...(await linesOf(cluster, account, namespace))].filter((line) => !everybodys.has(line)))
      for (const line of await podProbes(cluster, await tokenOf(cluster, account), namespace)) lines.add(line)
      byNamespace.set(namespace, lines)
    }
    const sets = [...byNamespace.values()]
    const everywhere = [...(sets[0] ?? [])].filter((line) => sets.every((set) => set.has(line)))
    const places: Record<string, string[]> = { 'every namespace': gathered(everywhere) }
    for (const [namespace, lines] of byNamespace) {
      const more = [...lines].filter((line) => !everywhere.includes(line))
      if (more.length > 0) places[namespace] = gathered(more)
    }
    rights[account.name] = places
  }
  return rights
}

/** Lines of one table that the other lacks. */
export function missingFrom(table: EffectiveRights, other: EffectiveRights): string[] {
  return Object.entries(table).flatMap(([account, places]) =>
    Object.entries(places).flatMap(([place, lines]) =>
      lines.filter((line) => !other[account]?.[place]?.includes(line)).map((line) => `${account} in ${place}: ${line}`),
    ),
  )
}

/** Lines that no account may have, whatever the table says. */
export function forbidden(table: EffectiveRights): string[] {
  return Object.entries(table).flatMap(([account, places]) =>
    Object.entries(places).flatMap(([place, lines]) =>
      lines.filter(isForbidden).map((line) => `${account} in ${place}: ${line}`),
    ),
  )
}

function isForbidden(line: string): boolean {
  const [what = '', verbs] = line.split(': ')
  if (verbs === undefined) return what.startsWith('gets ') // by a pod
  const [resource = '', name] = what.split(' ')
  const can = verbs.split(' ')
  if (line.includes('*') || ['escalate', 'bind', 'impersonate'].some((verb) => can.includes(verb))) return true
  if (/^(pods\/(exec|attach|portforward)|serviceaccounts\/token|nodes\/proxy)$/.test(resource)) return true
  return resource === 'secrets' && name === undefined && verbs !== 'create'
}

/** `get models` and `list models` as `models: get list`. */
function gathered(lines: readonly string[]): string[] {
  const verbs = new Map<string, string[]>()
  for (const line of lines) {
    const [verb = '', ...what] = line.split(' ')
    const key = isProbe(line) ? line : what.join(' ')
    verbs.set(key, [...(verbs.get(key) ?? []), verb])
  }
  return [...verbs].map(([what, each]) => (isProbe(what) ? what : `${what}: ${each.sort().join(' ')}`)).sort()
}

const isProbe = (line: string) => /^(gets|makes) /.test(line)

async function linesOf(cluster: Cluster, account: Account, namespace: string): Promise<Set<string>> {
  const { status, body } = await cluster.request({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    token: await tokenOf(cluster, account),
    body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } },
  })
  if (status !== 201) throw new Error(`SelfSubjectRulesReview of ${account.name}: ${status} ${JSON.stringify(body)}`)
  const { incomplete, resourceRules, nonResourceRules } = reviewSchema.parse(body).status
  if (incomplete) throw new Error(`the API server does not know all rights of ${account.name}`)
  const lines = new Set<string>()
  for (const { verbs, apiGroups, resources, resourceNames } of resourceRules) {
    for (const verb of verbs) {
      for (const group of apiGroups) {
        for (const resource of resources) {
          const [plural = '', sub] = resource.split('/')
          const what = `${plural}${group === '' ? '' : `.${group}`}${sub === undefined ? '' : `/${sub}`}`
          for (const name of resourceNames.length === 0 ? [''] : resourceNames) {
            lines.add([verb, what, name].filter((part) => part !== '').join(' '))
          }
        }
      }
    }
  }
  for (const { verbs, nonResourceURLs } of nonResourceRules) {
    for (const verb of verbs) for (const url of nonResourceURLs) lines.add(`${verb} ${url}`)
  }
  return lines
}

const tokens = new WeakMap<Cluster, Map<string, string>>()

async function tokenOf(cluster: Cluster, { namespace, name }: Account): Promise<string> {
  const known = tokens.get(cluster) ?? new Map<string, string>()
  tokens.set(cluster, known)
  const key = `${namespace}/${name}`
  const token = known.get(key) ?? (await cluster.createToken(name, namespace))
  known.set(key, token)
  return token
}
