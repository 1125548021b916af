import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gatewaySettings } from '@hansa/operator/gateway/settings.ts'
import { ledgerSettings } from '@hansa/operator/ledger/settings.ts'
import { linkSettings } from '@hansa/operator/link/settings.ts'
import { operatorSettings } from '@hansa/operator/operator/settings.ts'
import { parseEnv } from '@hansa/operator/process/env.ts'
import { cacheSettings } from '@hansa/worker/cache/settings.ts'
import { fetchSettings } from '@hansa/worker/fetch/settings.ts'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { ensureTools } from '../../cluster/assets.ts'
import { runTool } from '../../cluster/owner/run-tool.ts'
import { expectedRights } from './expected-rights.ts'
import { chartFolder, type EnvVar, environment, helmTemplate, type Manifest, podOf, pods, render } from './render.ts'
import { violations } from './restricted.ts'

const crdFolder = fileURLToPath(new URL('../../../crds', import.meta.url))
// Mounted by Kubernetes itself where automountServiceAccountToken is true.
const apiTokenFolder = '/var/run/secrets/kubernetes.io/serviceaccount'
const everything = {
  image: { pullSecrets: ['registry'] },
  operator: { podDisruptionBudget: { enabled: true }, priorityClassName: 'important' },
  gateway: {
    externalUrl: 'https://ai.stmary.example:8443',
    service: { type: 'LoadBalancer', nodePort: 30443, loadBalancerSourceRanges: ['10.0.0.0/8'] },
    dnsNames: ['ai.internal', '127.0.0.7'],
    tls: { secretName: 'stmary-tls' },
    oidcIssuers: [{ name: 'staff', issuer: 'https://idp.stmary.example:9444/realms/staff', audience: 'hansa' }],
    podDisruptionBudget: { enabled: true, maxUnavailable: '50%' },
  },
  ledger: {
    postgres: { host: 'db.example', port: 5433, secretName: 'ledger-db', caConfigMap: 'db-ca', cidrs: ['10.2.0.0/16'] },
  },
  link: { replicas: 2, service: { type: 'LoadBalancer' }, peers: { ports: [443, 3128] } },
  fetch: {
    storage: { persistent: true, size: '100Gi' },
    localRoot: { existingClaim: 'local-models' },
    allowedCidrs: ['10.0.0.0/8'],
    sourceCaConfigMap: 'stmary-ca',
  },
  cache: { enabled: true, size: '10Gi', ephemeralClaim: { enabled: true, storageClassName: 'local-disks' } },
  tracing: { endpoint: 'http://collector.observability.svc:4318', sample: 0.5 },
  monitoring: { podMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboards: { enabled: true } },
}

test('helm finds nothing to mend', async () => {
  const { helm } = await ensureTools()
  const { code, stdout } = await runTool(helm, ['lint', '--strict', chartFolder])
  expect(stdout).toContain('0 chart(s) failed')
  expect(code).toBe(0)
})

test.for([
  ['default values', {}],
  ['everything switched on', everything],
] as const)('with %s every pod is more than restricted, probed and graceful', async ([, values]) => {
  const found = pods(await render(values))
  const cache = values === everything ? ['hansa-cache'] : []
  expect(found.map(({ name }) => name).sort()).toEqual([
    ...[...cache, 'hansa-fetch', 'hansa-gateway', 'hansa-ledger', 'hansa-link', 'hansa-operator'],
  ])
  for (const { name, spec } of found) {
    expect(violations(spec), name).toEqual([])
    expect(spec.serviceAccountName).toBe(name)
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(30)
    for (const container of spec.containers) {
      expect(container.readinessProbe).toMatchObject({ httpGet: { path: '/readyz', port: 'probes' } })
      expect(container.livenessProbe).toMatchObject({ httpGet: { path: '/livez', port: 'probes' } })
    }
  }
})

test('a folder of the node is said to break the restricted standard', async () => {
  const fetch = podOf(await render({ fetch: { localRoot: { hostPath: '/models' } } }), 'hansa-fetch')
  expect(violations(fetch)).toEqual(['volume local is of type hostPath'])
})

test.for([
  ['default values', {}],
  ['everything switched on', everything],
] as const)('with %s the processes understand their environment', async ([, values]) => {
  const manifests = await render(values)
  const envOf = (name: string) => environment(podOf(manifests, name).containers[0])
  const operator = parseEnv(operatorSettings, envOf('hansa-operator'))
  const gateway = gatewaySettings(envOf('hansa-gateway'))
  const fetch = fetchSettings(envOf('hansa-fetch'))
  const link = linkSettings(envOf('hansa-link'))
  const ledger = ledgerSettings(envOf('hansa-ledger'))
  expect(gateway.receipts?.ledgerUrl).toBe('https://hansa-ledger.hansa-system.svc:8449')
  expect(ledger.books.kind).toBe(values === everything ? 'PostgreSQL' : 'SQLite')
  expect(ledger.caps).toEqual({ maxUnagreedReceipts: 100_000, maxUnagreedGPUSeconds: 86_400 })
  expect(operator.HANSA_CA_URL).toBe('https://hansa-operator.hansa-system.svc:9443')
  expect(operator.HANSA_FETCH_URL).toBe('https://hansa-fetch.hansa-system.svc:8444')
  expect(operator.HANSA_WORKER_IMAGE).toBe('ghcr.io/hansa-dev/worker:0.1.0')
  expect([gateway.trustDomain, fetch.HANSA_TRUST_DOMAIN, link.trustDomain]).toEqual(Array(3).fill('cluster.hansa'))
  expect([link.namespace, link.port, link.replicas]).toEqual(['hansa-system', 9444, values === everything ? 2 : 1])
  expect(fetch.HANSA_BLOB_MAX_BYTES).toBeLessThan(values === everything ? 100 * 2 ** 30 : 50 * 2 ** 30)
  if (values === everything) {
    expect(operator.HANSA_GATEWAY_URL).toBe('https://ai.stmary.example:8443')
    expect(gateway.dnsNames).toEqual(expect.arrayContaining(['ai.stmary.example', 'ai.internal', '127.0.0.7']))
    expect(gateway.tlsFiles).toEqual({ certFile: '/var/run/hansa/tls/tls.crt', keyFile: '/var/run/hansa/tls/tls.key' })
    expect(gateway.oidcIssuers).toEqual(everything.gateway.oidcIssuers)
    expect(fetch.HANSA_FETCH_ALLOWED_CIDRS).toEqual(['10.0.0.0/8'])
    const cache = cacheSettings(envOf('hansa-cache'))
    expect(cache.HANSA_CACHE_MAX_BYTES).toBeLessThan(10 * 2 ** 30)
    expect(operator.HANSA_OTLP_ENDPOINT).toBe('http://collector.observability.svc:4318/v1/traces')
    expect(gateway.otlpEndpoint).toBe(operator.HANSA_OTLP_ENDPOINT)
    expect(gateway.traceSample).toBe(0.5)
    expect(cache.HANSA_FETCH_URI).toBe('spiffe://cluster.hansa/ns/hansa-system/sa/hansa-fetch')
    expect(operator.HANSA_CACHE_URL).toBe('https://hansa-cache.hansa-system.svc:8444')
  } else {
    expect(operator.HANSA_CACHE_URL).toBeUndefined()
    expect(operator.HANSA_GATEWAY_URL).toBe('https://hansa-gateway.hansa-system.svc:8443')
  }
})

test('every path that a process is told of is mounted, and no variable is one that nobody reads', async () => {
  const known = new Set(
    (await sources(['operator/src', 'worker-image/src'])).flatMap((text) => text.match(/HANSA_[A-Z_]+/g) ?? []),
  )
  for (const { name, spec } of pods(await render(everything))) {
    const [container] = spec.containers
    const mounts = [apiTokenFolder, ...(container?.volumeMounts ?? []).map(({ mountPath }) => mountPath)]
    const variables: EnvVar[] = container?.env ?? []
    for (const { name: variable, value = '' } of variables) {
      if (variable.startsWith('HANSA_')) expect(known, `${name} ${variable}`).toContain(variable)
      if (value.startsWith('/')) {
        expect(
          mounts.filter((mount) => value === mount || value.startsWith(`${mount}/`)),
          variable,
        ).not.toEqual([])
      }
    }
  }
})

test('only a token for the authority is projected, and only operator, gateway, link, ledger and fetch reach the API server', async () => {
  const manifests = await render()
  for (const { name, spec } of pods(manifests)) {
    expect(spec.automountServiceAccountToken).toBe(true)
    const tokens = JSON.stringify(spec.volumes ?? []).match(/"audience":"[^"]+"/g) ?? []
    expect(tokens).toEqual(name === 'hansa-operator' ? [] : ['"audience":"hansa-ca"'])
  }
  const accounts = manifests.filter(({ kind }) => kind === 'ServiceAccount')
  expect(accounts.map(({ metadata }) => metadata.name).sort()).toEqual([
    'hansa-auditor',
    'hansa-fetch',
    'hansa-gateway',
    'hansa-ledger',
    'hansa-link',
    'hansa-operator',
  ])
  for (const account of accounts) expect(account.automountServiceAccountToken).toBe(false)
})

test('the cache has no token for the API server, no rights, and serves the workers of its own node alone', async () => {
  const manifests = await render(everything)
  expect(podOf(manifests, 'hansa-cache').automountServiceAccountToken).toBe(false)
  const bound = manifests.filter(({ kind }) => /RoleBinding$/.test(kind))
  expect(JSON.stringify(bound)).not.toContain('hansa-cache')
  const service = manifests.find(({ kind, metadata }) => kind === 'Service' && metadata.name === 'hansa-cache')
  expect(service?.spec).toMatchObject({ internalTrafficPolicy: 'Local' })
  const policy = manifests.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'hansa-cache')
  expect(ports(policy?.spec, 'ingress')).toEqual([8081, 8444])
  expect(ports(policy?.spec, 'egress')).toEqual([53, 8444, 9443])
})

test('the link may be reached by peers and reach them, the API server and the authority, and nothing else', async () => {
  const manifests = await render(everything)
  const policy = manifests.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'hansa-link')
  expect(ports(policy?.spec, 'ingress')).toEqual([8081, 9444])
  expect(ports(policy?.spec, 'egress')).toEqual([53, 443, 3128, 6443, 9443, 9444])
  const service = manifests.find(({ kind, metadata }) => kind === 'Service' && metadata.name === 'hansa-link')
  expect(service?.spec).toMatchObject({ type: 'LoadBalancer', ports: [{ port: 9444 }] })
  const budget = manifests.find(
    ({ kind, metadata }) => kind === 'PodDisruptionBudget' && metadata.name === 'hansa-link',
  )
  expect(budget?.spec).toMatchObject({ maxUnavailable: 1 })
})

test('with the link, gateways listen for those of peers at their Service, and for fetch at one that nobody outside sees', async () => {
  const services = async (values: object) => {
    const found = (await render(values)).filter(({ kind }) => kind === 'Service')
    // Ports and type of a Service, as the API server's schema has them.
    return found.map(({ metadata, spec }) => ({ name: metadata.name, ...(spec as { type?: string; ports: Port[] }) }))
  }
  type Port = { port: number; nodePort?: number }
  const numbers = (ports: Port[] = []) => ports.map(({ port }) => port)
  const nodePorts = { type: 'NodePort', nodePort: 30443, dataNodePort: 30447 }
  const joined = await services({ link: { enabled: true }, gateway: { service: nodePorts } })
  const gateway = joined.find(({ name }) => name === 'hansa-gateway')
  expect(numbers(gateway?.ports)).toEqual([8443, 8444, 8447])
  expect(gateway?.ports.at(-1)?.nodePort).toBe(30447)
  const internal = joined.find(({ name }) => name === 'hansa-gateway-internal')
  expect([internal?.type, numbers(internal?.ports)]).toEqual([undefined, [8448]])
  const alone = await services({ link: { enabled: false } })
  expect(alone.map(({ name }) => name).sort()).toEqual(['hansa-fetch', 'hansa-gateway', 'hansa-operator'])
  expect(numbers(alone.find(({ name }) => name === 'hansa-gateway')?.ports)).toEqual([8443, 8444])
})

test('guests are below every pod without a priority class, and push nobody out', async () => {
  const classes = async (values: object) => (await render(values)).filter(({ kind }) => kind === 'PriorityClass')
  expect(await classes({})).toMatchObject([
    { metadata: { name: 'hansa-guest' }, value: -1000, preemptionPolicy: 'Never', globalDefault: false },
  ])
  expect(await classes({ guests: { priorityClass: { create: false } } })).toEqual([])
})

test('the chart gives exactly the rights that are argued for', async () => {
  const manifests = await render(everything)
  const roles = manifests.filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role')
  const rendered = roles.map((role): [string, object] => [
    `${role.kind} ${role.metadata.name}`,
    { boundTo: boundTo(manifests, role), rights: role.rules },
  ])
  const expected = Object.entries(expectedRights).map(([name, { boundTo: accounts, rights }]): [string, object] => [
    name,
    { boundTo: accounts, rights: rights.map(({ why: _why, ...right }) => right) },
  ])
  expect(Object.fromEntries(rendered)).toEqual(Object.fromEntries(expected))
})

test('no right is a wildcard, escalates, impersonates or reads Secrets without a name, but for the unbound role', () => {
  for (const [role, { boundTo: accounts, rights }] of Object.entries(expectedRights)) {
    for (const { apiGroups, resources, verbs, resourceNames } of rights) {
      expect([...apiGroups, ...resources, ...verbs], role).not.toContain('*')
      for (const verb of ['escalate', 'bind', 'impersonate']) expect(verbs, role).not.toContain(verb)
      for (const resource of ['pods/exec', 'serviceaccounts/token', 'nodes/proxy']) {
        expect(resources, role).not.toContain(resource)
      }
      // The room on nodes is read, to lend what is idle.
      const reads = verbs.every((verb) => ['get', 'list', 'watch'].includes(verb))
      if (!reads) expect(resources, role).not.toContain('nodes')
      if (accounts.length > 0 && resources.includes('secrets') && resourceNames === undefined) {
        expect(verbs, role).toEqual(['create'])
      }
    }
  }
})

test('every pod of the release namespace is shut in, and each process opens what it needs', async () => {
  const policies = (await render()).filter(({ kind }) => kind === 'NetworkPolicy')
  const byName = Object.fromEntries(policies.map(({ metadata, spec }) => [metadata.name, spec]))
  expect(byName['hansa-default-deny']).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
  expect(ports(byName['hansa-operator'], 'ingress')).toEqual([8081, 9443])
  expect(ports(byName['hansa-gateway'], 'ingress')).toEqual([8081, 8443, 8444, 8445, 8447, 8448])
  expect(ports(byName['hansa-link'], 'ingress')).toEqual([8081, 9444])
  expect(ports(byName['hansa-ledger'], 'ingress')).toEqual([8081, 8449, 8450])
  expect(ports(byName['hansa-ledger'], 'egress')).toEqual([53, 443, 6443, 8448, 9443])
  expect(ports(byName['hansa-fetch'], 'ingress')).toEqual([8081, 8444])
  expect(ports(byName['hansa-operator'], 'egress')).toEqual([53, 443, 6443, 8444, 8445])
  expect(ports(byName['hansa-gateway'], 'egress')).toEqual([53, 443, 6443, 8443, 8444, 8447, 8449, 9443])
  expect(ports(byName['hansa-fetch'], 'egress')).toEqual([53, 443, 6443, 8448, 9443])
  const alone = (await render({ link: { enabled: false } })).filter(({ kind }) => kind === 'NetworkPolicy')
  const apart = Object.fromEntries(alone.map(({ metadata, spec }) => [metadata.name, spec]))
  expect(apart).not.toHaveProperty('hansa-link')
  expect(apart).not.toHaveProperty('hansa-ledger')
  expect(ports(apart['hansa-gateway'], 'ingress')).toEqual([8081, 8443, 8444, 8445])
  expect(ports(apart['hansa-gateway'], 'egress')).toEqual([53, 443, 6443, 8443, 8444, 9443])
  const opened = (await render(everything)).find(
    ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'hansa-gateway',
  )
  expect(ports(opened?.spec, 'egress')).toEqual([53, 443, 4318, 6443, 8443, 8444, 8447, 8449, 9443, 9444])
  expect(ports(opened?.spec, 'ingress')).toEqual([8081, 8443, 8444, 8445, 8447, 8448])
  expect((await render({ networkPolicy: { enabled: false } })).filter(({ kind }) => kind === 'NetworkPolicy')).toEqual(
    [],
  )
})

test('custom resource definitions are those of crds/, kept at uninstall unless told otherwise', async () => {
  const files = (await readdir(crdFolder)).filter((file) => file.endsWith('.yaml')).sort()
  expect((await readdir(join(chartFolder, 'files/crds'))).sort()).toEqual(files)
  const expected: Manifest[] = []
  for (const file of files) expected.push(parse(await readFile(join(crdFolder, file), 'utf8')))
  const crds = async (values: object) => {
    const found = (await render(values)).filter(({ kind }) => kind === 'CustomResourceDefinition')
    return found.sort((a, b) => a.metadata.name.localeCompare(b.metadata.name))
  }
  expect(await crds({ crds: { keep: false } })).toEqual(expected)
  const keep = { 'helm.sh/resource-policy': 'keep' }
  expect(await crds({})).toEqual(expected.map((crd) => ({ ...crd, metadata: { ...crd.metadata, annotations: keep } })))
  expect(await crds({ crds: { enabled: false } })).toEqual([])
})

test('a digest wins over a tag, a tag over the version', async () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const image = { operator: { repository: 'registry.example:5000/op', tag: '1.2', digest }, worker: { tag: '1.3' } }
  const manifests = await render({ image })
  expect(podOf(manifests, 'hansa-gateway').containers[0]?.image).toBe(`registry.example:5000/op@${digest}`)
  expect(podOf(manifests, 'hansa-fetch').containers[0]?.image).toBe('ghcr.io/hansa-dev/worker:1.3')
})

test('the receiver of traces is told to gateway and operator, and the gateway may reach it and nothing more', async () => {
  const gatewayEgress = async (endpoint: string) => {
    const manifests = await render({ tracing: { endpoint } })
    const policy = manifests.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'hansa-gateway')
    // The spec of a NetworkPolicy; an object without it fails the comparisons below.
    const { egress } = (policy?.spec ?? {}) as { egress?: unknown[] }
    return egress ?? []
  }
  const without = await gatewayEgress('')
  expect(await gatewayEgress('http://collector.observability.svc:4318')).toEqual(
    expect.arrayContaining([
      ...without,
      {
        to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'observability' } } }],
        ports: [{ protocol: 'TCP', port: 4318 }],
      },
    ]),
  )
  expect(await gatewayEgress('https://otlp.example.com')).toContainEqual({ ports: [{ protocol: 'TCP', port: 443 }] })
  await expect(render({ tracing: { endpoint: 'http://otlp.example.com' } })).rejects.toThrow('endpoint')
})

test('the time to drain fits into the grace period of the gateway', async () => {
  const manifests = await render({ gateway: { lameDuckSeconds: 20, drainSeconds: 100 } })
  expect(podOf(manifests, 'hansa-gateway').terminationGracePeriodSeconds).toBe(140)
})

test('on OpenShift the platform may choose the user', async () => {
  const manifests = await render({ podSecurityContext: { runAsUser: null, runAsGroup: null, fsGroup: null } })
  expect(podOf(manifests, 'hansa-gateway').securityContext).not.toHaveProperty('runAsUser')
  expect(violations(podOf(manifests, 'hansa-gateway'))).toEqual([])
})

test.for([
  ['an unknown value', { gatway: {} }, "additional properties 'gatway' not allowed"],
  ['a misspelt nested value', { gateway: { externalURL: '' } }, "additional properties 'externalURL' not allowed"],
  ['a URL without https', { gateway: { externalUrl: 'http://ai.example' } }, 'externalUrl'],
  ['a URL with a path', { gateway: { externalUrl: 'https://ai.example/hansa' } }, 'externalUrl'],
  ['a trust domain with capitals', { trustDomain: 'StMary' }, 'trustDomain'],
  ['a digest that is none', { image: { operator: { digest: 'latest' } } }, 'digest'],
  ['a negative number of gateways', { gateway: { replicas: -1 } }, 'replicas'],
  ['a number in quotes', { gateway: { drainSeconds: '30' } }, 'drainSeconds'],
  ['an unknown log level', { logLevel: 'loud' }, 'logLevel'],
  ['a size without a number', { fetch: { storage: { size: 'Gi' } } }, 'size'],
  ['an issuer without an audience', { gateway: { oidcIssuers: [{ name: 'a', issuer: 'https://a' }] } }, 'audience'],
  [
    'an issuer with the name of the cluster',
    { gateway: { oidcIssuers: [{ name: 'cluster', issuer: 'https://a', audience: 'a' }] } },
    'name',
  ],
  ['a relative folder of the node', { fetch: { localRoot: { hostPath: 'models' } } }, 'hostPath'],
  [
    'two local roots',
    { fetch: { localRoot: { hostPath: '/models', existingClaim: 'models' } } },
    'set existingClaim or hostPath, not both',
  ],
  ['a node port of a ClusterIP of the link', { link: { service: { nodePort: 30444 } } }, 'link.service.nodePort needs'],
  ['guests as important as others', { guests: { priorityClass: { value: 0 } } }, 'value'],
  ['a node port of a ClusterIP', { gateway: { service: { nodePort: 30443 } } }, 'need gateway.service.type NodePort'],
] as const)('refuses %s', async ([, values, message]) => {
  const { code, stderr } = await helmTemplate(values)
  expect(code).not.toBe(0)
  expect(stderr).toContain(message)
})

test('every value has a description in the schema, and a default', async () => {
  const schema = JSON.parse(await readFile(join(chartFolder, 'values.schema.json'), 'utf8'))
  const values = parse(await readFile(join(chartFolder, 'values.yaml'), 'utf8'))
  const undescribed: string[] = []
  const visit = (node: Schema, value: unknown, path: string) => {
    if (node.description === undefined) undescribed.push(path)
    if (node.properties === undefined) return
    for (const [key, child] of Object.entries(node.properties)) {
      if (path === '' && key === 'global') continue
      const known = typeof value === 'object' && value !== null && Object.hasOwn(value, key)
      if (!known) undescribed.push(`${path}.${key} has no default`)
      else visit(child, Object.getOwnPropertyDescriptor(value, key)?.value, `${path}.${key}`)
    }
  }
  visit(schema, values, '')
  expect(undescribed).toEqual([])
})

type Schema = { description?: string; properties?: Record<string, Schema> }

function boundTo(manifests: readonly Manifest[], role: Manifest): string[] {
  const kind = `${role.kind}Binding`
  return manifests
    .filter((binding) => binding.kind === kind)
    .flatMap((binding) => {
      // Bindings' fields, as the API server's schema has them.
      const { roleRef, subjects } = binding as Manifest & {
        roleRef: { kind: string; name: string }
        subjects: { kind: string; name: string; namespace: string }[]
      }
      if (roleRef.kind !== role.kind || roleRef.name !== role.metadata.name) return []
      return subjects.map((subject) => {
        expect(subject).toMatchObject({ kind: 'ServiceAccount', namespace: 'hansa-system' })
        return subject.name
      })
    })
}

function ports(spec: unknown, direction: 'ingress' | 'egress'): number[] {
  // A NetworkPolicy's rules, as the API server's schema has them.
  const rules = (spec as Record<string, { ports?: { port: number }[] }[]>)[direction] ?? []
  const found = rules.flatMap((rule) => {
    expect(rule.ports, 'every rule names its ports').toBeDefined()
    return (rule.ports ?? []).map(({ port }) => port)
  })
  return [...new Set(found)].sort((a, b) => a - b)
}

async function sources(folders: string[]): Promise<string[]> {
  const texts: string[] = []
  for (const folder of folders) {
    const root = fileURLToPath(new URL(`../../../${folder}`, import.meta.url))
    for (const file of await readdir(root, { recursive: true })) {
      if (file.endsWith('.ts')) texts.push(await readFile(join(root, file), 'utf8'))
    }
  }
  return texts
}
