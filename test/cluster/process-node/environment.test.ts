import { expect, test } from 'vitest'
import { readEnvironment } from './environment.ts'
import type { ConfigMap, ContainerSpec, Secret } from './kube-types.ts'

const configMap: ConfigMap = { metadata: { name: 'c', uid: '1' }, data: { a: '1', b: '2' } }
const secret: Secret = { metadata: { name: 's', uid: '2' }, data: { a: Buffer.from('hidden').toString('base64') } }

function read(container: Partial<ContainerSpec>) {
  return readEnvironment({
    pod: { metadata: { name: 'p', namespace: 'n', uid: 'u', labels: { x: 'y' } }, spec: { containers: [] } },
    container: { name: 'main', image: 'i', ...container },
    addresses: { podIp: '127.64.0.2', hostIp: '127.64.0.1', allocatable: { cpu: '8' } },
    objects: {
      configMap: async (_, name) => (name === 'c' ? configMap : undefined),
      secret: async (_, name) => (name === 's' ? secret : undefined),
    },
    base: { HOME: '/home' },
  })
}

test('env wins over envFrom, envFrom over what the node gives', async () => {
  const variables = await read({
    envFrom: [{ configMapRef: { name: 'c' } }, { prefix: 'S_', secretRef: { name: 's' } }],
    env: [
      { name: 'a', value: 'own' },
      { name: 'HOME', value: '/elsewhere' },
      { name: 'SUM', value: '$(a)+$(b)+$(S_a)' },
    ],
  })
  expect(Object.fromEntries(variables)).toEqual({
    HOME: '/elsewhere',
    a: 'own',
    b: '2',
    S_a: 'hidden',
    SUM: 'own+2+hidden',
  })
})

test('what may be absent is left out, and what may not stops the container', async () => {
  const key = (optional?: boolean) => ({
    env: [{ name: 'K', valueFrom: { configMapKeyRef: { name: 'c', key: 'none', ...(optional ? { optional } : {}) } } }],
  })
  expect((await read(key(true))).has('K')).toBe(false)
  await expect(read(key())).rejects.toMatchObject({ reason: 'CreateContainerConfigError' })
  await expect(read({ envFrom: [{ secretRef: { name: 'none' } }] })).rejects.toThrow('secret "none" not found')
  expect(await read({ envFrom: [{ secretRef: { name: 'none', optional: true } }] })).toEqual(
    new Map([['HOME', '/home']]),
  )
})

test('fields and resources of the pod become values, unknown ones stop the container', async () => {
  const field = (fieldPath: string) => ({ env: [{ name: 'F', valueFrom: { fieldRef: { fieldPath } } }] })
  expect((await read(field("metadata.labels['x']"))).get('F')).toBe('y')
  expect((await read(field('status.podIP'))).get('F')).toBe('127.64.0.2')
  await expect(read(field('spec.secrets'))).rejects.toThrow('does not know')
  const cpu = { env: [{ name: 'C', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }] }
  expect((await read(cpu)).get('C')).toBe('8')
})
