import { apiVersion, group } from '../resource.ts'
import { rootSchema } from './custom-resource-definition.ts'
import { type Field, fieldsOf, rulesOf } from './field.ts'
import type { Kind } from './kinds.ts'
import { code, prose, table } from './markdown.ts'
import type { StructuralSchema } from './structural.ts'

/** The reference page of a kind: every field, rule, condition and reason. */
export function referencePage(kind: Kind, example: string): string {
  const root = rootSchema(kind)
  const spec = fieldsOf(root.properties.spec, 'spec')
  const status = fieldsOf(root.properties.status, 'status')
  const name = `${kind.plural}.${group}`
  return `<!-- Generated from operator/src/api by \`npm run generate\`; do not edit. -->
# ${kind.kind}

${prose(kind.description)}

${table(
  ['', ''],
  [
    ['apiVersion', code(apiVersion)],
    ['kind', code(kind.kind)],
    ['resource', [name, ...kind.shortNames].map(code).join(', ')],
    ['scope', kind.scope === 'Cluster' ? 'cluster' : 'namespace'],
    ['subresources', kind.scale ? '`status`, `scale`' : '`status`'],
    ['category', `\`${kind.category}\` (\`kubectl get ${kind.category}\`)`],
  ],
)}

## Example

\`\`\`yaml
${example.trimEnd()}
\`\`\`

## Spec

${fieldTable(spec)}

## What the API server refuses

Besides the types and bounds above:

${table(['where', 'rule'], refusals(kind, root.properties.spec))}

Unknown fields are refused by \`kubectl\` (strict validation) and dropped by the API server otherwise.

## Status

${fieldTable(status)}

## Conditions

${Object.entries(kind.conditions)
  .map(([type, reasons]) => conditionSection(type, kind.conditionNotes[type] ?? '', reasons))
  .join('\n\n')}

## Columns of \`kubectl get\`

${table(
  ['column', 'shows', 'from'],
  kind.columns.map((column) => [
    column.name,
    `${column.description}${column.wide === true ? ' With `-o wide`.' : ''}`,
    code(column.jsonPath),
  ]),
)}
`
}

function fieldTable(fields: readonly Field[]): string {
  return table(
    ['field', 'type', 'default', 'bounds', 'meaning'],
    fields.map((field) => [
      code(field.path),
      field.type,
      field.required ? '**required**' : field.default === undefined ? '' : code(field.default),
      field.bounds.join('; '),
      prose(field.description),
    ]),
  )
}

function refusals(kind: Kind, spec: StructuralSchema): string[][] {
  const list = [...kind.rootRules.map(({ message }) => ({ path: 'metadata.name', message })), ...rulesOf(spec, 'spec')]
  return list.map(({ path, message }) => [code(path), prose(message)])
}

function conditionSection(
  type: string,
  note: string,
  reasons: Readonly<Record<string, { status: string; meaning: string; remedy: string }>>,
): string {
  return `### ${type}

${note}

${table(
  ['reason', 'status', 'meaning', 'what to do'],
  Object.entries(reasons).map(([reason, text]) => [code(reason), text.status, prose(text.meaning), prose(text.remedy)]),
)}`
}
