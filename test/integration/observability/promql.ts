import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import type { Series } from './registered-metrics.ts'

/**
 * What is wrong with a PromQL expression, judged by the series that there are: syntax, unknown metrics, and labels that a metric
 * does not have, in matchers, in `by` and in `on`.
 */
export function problemsOf(expression: string, series: Series): string[] {
  // Grafana puts a duration here before Prometheus sees it.
  const text = expression.replaceAll('$__rate_interval', '5m')
  const { topNode } = parser.parse(text)
  const problems: string[] = []
  const textOf = (node: SyntaxNode) => text.slice(node.from, node.to)
  for (const node of below(topNode)) {
    if (node.type.isError) problems.push(`syntax error at ${node.from}: ${text}`)
    if (node.name === 'VectorSelector') {
      const name = nameOf(node, textOf)
      const labels = series.get(name)
      if (labels === undefined) problems.push(`unknown metric ${name}`)
      for (const label of labelsIn(node, 'LabelMatchers', textOf)) {
        if (labels !== undefined && !labels.has(label)) problems.push(`${name} has no label ${label}`)
      }
    }
    if (node.name !== 'AggregateExpr' && node.name !== 'BinaryExpr') continue
    const clause = node.getChild(node.name === 'AggregateExpr' ? 'AggregateModifier' : 'MatchingModifierClause')
    const grouping = clause === null ? [] : labelsIn(clause, 'GroupingLabels', textOf)
    const metrics = below(node).filter((one) => one.name === 'VectorSelector')
    for (const metric of metrics) {
      const name = nameOf(metric, textOf)
      for (const label of grouping) {
        if (series.get(name)?.has(label) === false)
          problems.push(`${name} has no label ${label}, by which it is grouped`)
      }
    }
  }
  return problems
}

/** Labels by which an expression groups: those that its result has. */
export function groupedBy(expression: string): Set<string> {
  const text = expression.replaceAll('$__rate_interval', '5m')
  const nodes = below(parser.parse(text).topNode).filter((node) => node.name === 'GroupingLabels')
  return new Set(nodes.flatMap((node) => node.getChildren('LabelName').map(({ from, to }) => text.slice(from, to))))
}

/** Labels that a text with `{{label}}` or `$labels.label` shows. */
export function shownLabels(text: string): string[] {
  return [...text.matchAll(/\$labels\.([a-z_]+)|\{\{([a-z_]+)\}\}/g)].map(([, rule, legend]) => rule ?? legend ?? '')
}

function below(top: SyntaxNode): SyntaxNode[] {
  const nodes: SyntaxNode[] = []
  top.cursor().iterate((node) => {
    nodes.push(node.node)
  })
  return nodes
}

function nameOf(selector: SyntaxNode, textOf: (node: SyntaxNode) => string): string {
  const identifier = selector.getChild('Identifier')
  return identifier === null ? '' : textOf(identifier)
}

function labelsIn(node: SyntaxNode, list: string, textOf: (node: SyntaxNode) => string): string[] {
  const found = node.getChild(list)
  return found === null
    ? []
    : below(found)
        .filter((one) => one.name === 'LabelName')
        .map(textOf)
}
