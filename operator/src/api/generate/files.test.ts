import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { generatedFiles } from './files.ts'
import { kinds } from './kinds.ts'

const root = resolve(import.meta.dirname, '../../../..')
const example = (name: string) => readFileSync(resolve(root, 'examples', name), 'utf8')
const files = generatedFiles(example)

test('two runs give the same bytes', () => {
  expect([...generatedFiles(example)]).toEqual([...files])
})

test('what is committed is what the schemas say', () => {
  for (const [path, text] of files) expect(readFileSync(resolve(root, path), 'utf8'), path).toBe(text)
})

// Written by operators alone; people list them with `kubectl get hansa-internal`.
const internal = new Set(['RemoteWork', 'GuestWork'])

test('every custom resource definition is under 100 KB, has six default columns at most and its category', () => {
  const crds = [...files].filter(([path]) => path.startsWith('crds/'))
  expect(crds).toHaveLength(kinds.length)
  for (const [path, text] of crds) {
    expect(Buffer.byteLength(text), path).toBeLessThan(100_000)
    const { spec } = parse(text)
    expect(spec.names.categories).toEqual([internal.has(spec.names.kind) ? 'hansa-internal' : 'hansa'])
    const columns: { priority?: number }[] = spec.versions[0].additionalPrinterColumns
    expect(columns.filter(({ priority = 0 }) => priority === 0).length).toBeLessThanOrEqual(6)
    expect(spec.versions[0].subresources.status).toEqual({})
  }
})

test('an InferenceService can be scaled', () => {
  const { spec } = parse(files.get('crds/hansa.dev_inferenceservices.yaml') ?? '')
  expect(spec.versions[0].subresources.scale).toEqual({
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  })
})

test('the chart carries the same definitions', () => {
  for (const [path, text] of files) {
    if (path.startsWith('crds/')) expect(files.get(`charts/hansa/files/${path}`)).toBe(text)
  }
})

test('the reference page names every field of the definition and every reason', () => {
  for (const kind of kinds) {
    const page = files.get(`docs/reference/${kind.kind.toLowerCase()}.md`) ?? ''
    const { spec } = parse(files.get(`crds/hansa.dev_${kind.plural}.yaml`) ?? '')
    for (const part of ['spec', 'status']) {
      for (const path of leafPaths(spec.versions[0].schema.openAPIV3Schema.properties[part], part)) {
        expect(page).toContain(`\`${path}\``)
      }
    }
    for (const reason of Object.values(kind.conditions).flatMap(Object.keys)) expect(page).toContain(`\`${reason}\``)
  }
})

type Node = { properties?: Record<string, Node>; items?: Node }

function leafPaths(node: Node, path: string): string[] {
  const children = Object.entries(node.properties ?? {}).flatMap(([name, child]) => leafPaths(child, `${path}.${name}`))
  if (node.items?.properties !== undefined) return leafPaths(node.items, `${path}[]`)
  return children.length > 0 ? children : [path]
}
