import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { kinds } from '@hansa/operator/api/generate/kinds.ts'
import { modelSpecSchema } from '@hansa/operator/api/model.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { installDefinitions } from '../../cluster/definitions.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'

const examples = resolve(import.meta.dirname, '../../../examples')
const names = readdirSync(examples)
  .filter((name) => name.endsWith('.yaml'))
  // Without its ending, digits comes before digits-v2, which needs the namespace that it makes.
  .sort((a, b) => (a.slice(0, -5) < b.slice(0, -5) ? -1 : 1))
const known = new Map(kinds.map((kind) => [kind.kind, kind]))
const objectSchema = z.looseObject({ apiVersion: z.string(), kind: z.string(), spec: z.unknown().optional() })

let owner: Owner | undefined
const started = () => {
  if (owner === undefined) throw new Error('the control plane did not start')
  return owner
}

beforeAll(async () => {
  owner = await startOwner({ name: 'examples' })
  await installDefinitions(owner)
})
afterAll(() => owner?.stop())

test('there are examples', () => expect(names.length).toBeGreaterThanOrEqual(6))

test.each(names)('%s is applied by a real API server', async (name) => {
  const { code, stdout, stderr } = await started().kubectl(['apply', '--server-side', '-f', resolve(examples, name)])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const documents = parseAllDocuments(readFileSync(resolve(examples, name), 'utf8'))
  expect(stdout.match(/serverside-applied/g)).toHaveLength(documents.length)
})

test.each(names)('%s is what the schemas accept, and the API server adds the same defaults', async (name) => {
  for (const document of parseAllDocuments(readFileSync(resolve(examples, name), 'utf8'))) {
    const object = objectSchema.parse(document.toJS())
    if (!object.apiVersion.startsWith('hansa.dev/')) continue
    const kind = known.get(object.kind)
    if (kind === undefined) throw new Error(`${object.kind} is not a kind of the group`)
    const { name: objectName, namespace } = z
      .looseObject({ name: z.string(), namespace: z.string().optional() })
      .parse(object.metadata)
    const folder = namespace === undefined ? '' : `/namespaces/${namespace}`
    const stored = await started().request({
      path: `/apis/hansa.dev/v1alpha1${folder}/${kind.plural}/${objectName}`,
    })
    expect(objectSchema.parse(stored.body).spec).toEqual(kind.spec.parse(object.spec))
  }
})

test('the models that lie in this repository have the digests and sizes that the examples say', () => {
  let checked = 0
  for (const name of names) {
    for (const document of parseAllDocuments(readFileSync(resolve(examples, name), 'utf8'))) {
      const parsed = z.object({ kind: z.literal('Model'), spec: modelSpecSchema }).safeParse(document.toJS())
      if (!parsed.success || parsed.data.spec.source.local === undefined) continue
      for (const file of parsed.data.spec.files) {
        const bytes = readFileSync(resolve(examples, 'models', parsed.data.spec.source.local.path, file.path))
        expect(file.sizeBytes).toBe(bytes.length)
        expect(file.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
        checked += 1
      }
    }
  }
  expect(checked).toBe(3)
})

test('kubectl scale is refused in mode Hansa, with what to do instead, and works in mode External', async () => {
  const refused = await started().kubectl(['scale', 'infer/triage', '--replicas=3'])
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('in mode Hansa set scaling.minReplicas and scaling.maxReplicas')

  const accepted = await started().kubectl(['scale', 'infer/papers', '--replicas=3'])
  expect(accepted.stderr).toBe('')
  const read = await started().kubectl(['get', 'infer/papers', '-o', 'jsonpath={.spec.replicas}'])
  expect(read.stdout).toBe('3')
})

test('kubectl get hansa lists both kinds', async () => {
  const { stdout } = await started().kubectl(['get', 'hansa', '--all-namespaces'])
  expect(stdout).toContain('inferenceservice.hansa.dev/triage')
  expect(stdout).toContain('model.hansa.dev/digits-v1')
  expect(stdout).toMatch(/NAME +READY +REASON +URL +REPLICAS +READY REPLICAS +AGE/)
})
