import { stringify } from 'yaml'
import { group, version } from '../resource.ts'
import type { Column, Kind } from './kinds.ts'
import { type StructuralSchema, structuralSchema } from './structural.ts'

const maxDefaultColumns = 6

/** The CustomResourceDefinition of a kind as a plain object, ready for the API server. */
export function customResourceDefinition(kind: Kind) {
  if (kind.columns.filter(({ wide }) => wide !== true).length > maxDefaultColumns) {
    throw new Error(`${kind.kind}: must have at most ${maxDefaultColumns} columns that are not wide`)
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${kind.plural}.${group}`,
      labels: { 'app.kubernetes.io/name': 'hansa', 'app.kubernetes.io/part-of': 'hansa' },
    },
    spec: {
      group,
      scope: kind.scope === 'Cluster' ? 'Cluster' : 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
        categories: [kind.category],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          additionalPrinterColumns: kind.columns.map(printerColumn),
          subresources: { status: {}, ...(kind.scale ? { scale: scalePaths } : {}) },
          schema: { openAPIV3Schema: rootSchema(kind) },
        },
      ],
    },
  }
}

const scalePaths = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.status.selector',
}

function printerColumn({ name, type, jsonPath, description, wide }: Column) {
  return { name, type, jsonPath, description, ...(wide === true ? { priority: 1 } : {}) }
}

/** The schema of the whole object; `apiVersion`, `kind` and `metadata` are the API server's own. */
export function rootSchema(kind: Kind) {
  const spec: StructuralSchema = {
    description: `What is wanted of the ${kind.kind}.`,
    ...structuralSchema(kind.spec, 'spec'),
  }
  const status: StructuralSchema = {
    description: `What the operator has observed; only the operator writes it.`,
    ...structuralSchema(kind.status, 'status'),
  }
  return {
    description: kind.description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { description: `Must be ${group}/${version}.`, type: 'string' },
      kind: { description: `Must be ${kind.kind}.`, type: 'string' },
      metadata: { type: 'object' },
      spec,
      status,
    },
    ...(kind.rootRules.length > 0 && { 'x-kubernetes-validations': kind.rootRules }),
  }
}

/** The same as YAML, with a note where it comes from. */
export function customResourceDefinitionYaml(kind: Kind): string {
  const header = '# Generated from operator/src/api by `npm run generate`; do not edit.\n'
  return header + stringify(customResourceDefinition(kind), { lineWidth: 0, aliasDuplicateObjects: false })
}
