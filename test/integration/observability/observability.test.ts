import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { repository } from '../../cluster/hansa/images.ts'
import { render } from '../chart/render.ts'
import { groupedBy, problemsOf, shownLabels } from './promql.ts'
import { registeredNames, registeredSeries } from './registered-metrics.ts'

const series = await registeredSeries()
const read = (path: string) => readFileSync(join(repository, path), 'utf8')

const ruleSchema = z.object({
  alert: z.string().regex(/^Hansa[A-Za-z]+$/),
  expr: z.string(),
  for: z
    .string()
    .regex(/^\d+[mh]$/)
    .optional(),
  labels: z.object({ severity: z.enum(['critical', 'warning', 'info']) }),
  annotations: z.object({ summary: z.string().min(10), description: z.string().min(10), runbook_url: z.url() }),
})
const prometheusRuleSchema = z.object({ groups: z.array(z.object({ rules: z.array(ruleSchema) })) })
const dashboardSchema = z.object({
  uid: z.string(),
  templating: z.object({ list: z.array(z.object({ name: z.string(), query: z.unknown() })) }),
  panels: z.array(
    z.object({
      id: z.int(),
      title: z.string(),
      description: z.string().optional(),
      targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })).optional(),
    }),
  ),
})

const values = {
  monitoring: { podMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboards: { enabled: true } },
}
const manifests = await render(values)
const rules = manifests
  .filter(({ kind }) => kind === 'PrometheusRule')
  .flatMap(({ spec }) => prometheusRuleSchema.parse(spec).groups.flatMap((group) => group.rules))
const dashboards = manifests
  .filter(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'hansa-dashboards')
  .flatMap(({ data }) => Object.values(z.record(z.string(), z.string()).parse(data)))
  .map((text) => dashboardSchema.parse(JSON.parse(text)))
const panels = dashboards.flatMap((dashboard) => dashboard.panels.filter((panel) => panel.targets !== undefined))

test('the registries hold every metric that the code names', () => {
  const sources = globSync(['operator/src/**/*.ts', 'worker-image/src/**/*.ts'], { cwd: repository })
  const named = sources
    .filter((path) => !path.endsWith('.test.ts'))
    .flatMap((path) => [...read(path).matchAll(/'((?:hansa|nv)_[a-z_]+)'/g)].map((match) => match[1]))
  const registered = [...registeredNames(series)].filter((name) => /^(hansa|nv)_/.test(name))
  expect(registered.sort()).toEqual([...new Set(named)].sort())
})

test('every metric that the page of metrics names is registered', () => {
  const names = registeredNames(series)
  const onPage = [...read('docs/metrics.md').matchAll(/`(hansa_[a-z_]+)`/g)].map((match) => match[1] ?? '')
  expect(onPage.length).toBeGreaterThan(40)
  expect(onPage.filter((name) => !names.has(name))).toEqual([])
})

test('the check finds unknown metrics, labels and broken syntax', () => {
  expect(problemsOf('hansa_gateway_held{service="x"}', series)).toEqual([])
  expect(problemsOf('hansa_gateway_hold', series)).toEqual(['unknown metric hansa_gateway_hold'])
  expect(problemsOf('hansa_gateway_held{servise="x"}', series)).toHaveLength(1)
  expect(problemsOf('sum by (code) (hansa_gateway_held)', series)).toHaveLength(1)
  expect(problemsOf('sum by (le) (rate(hansa_gateway_held_seconds_sum[5m]))', series)).toHaveLength(1)
  expect(problemsOf('sum by (service (hansa_gateway_held)', series).length).toBeGreaterThan(0)
})

test.each(rules)('the alert $alert asks for what there is and leads to a section of the operations page', (rule) => {
  expect(problemsOf(rule.expr, series)).toEqual([])
  const grouped = groupedBy(rule.expr)
  for (const text of [rule.annotations.summary, rule.annotations.description]) {
    for (const label of shownLabels(text)) expect(grouped).toContain(label)
  }
  expect(rule.annotations.runbook_url).toMatch(new RegExp(`/operations\\.md#${rule.alert.toLowerCase()}$`))
  expect(read('docs/operations.md')).toContain(`\n### ${rule.alert}\n`)
})

test('no two alerts have one name, and the operations page has no others', () => {
  expect(rules.length).toBeGreaterThan(15)
  const names = rules.map(({ alert }) => alert)
  expect(new Set(names).size).toBe(names.length)
  const sections = [...read('docs/operations.md').matchAll(/^### (Hansa\w+)$/gm)].map((match) => match[1])
  expect(sections.sort()).toEqual(names.sort())
})

test('there is a dashboard whose variables ask for labels that there are', () => {
  expect(dashboards).toHaveLength(1)
  expect(panels.length).toBeGreaterThan(15)
  for (const { query } of dashboards.flatMap((dashboard) => dashboard.templating.list)) {
    const parsed = z.object({ query: z.string() }).safeParse(query)
    const [, metric = '', label = ''] = /^label_values\((\w+).*, (\w+)\)$/.exec(parsed.data?.query ?? '') ?? []
    if (parsed.success) expect(series.get(metric)).toContain(label)
  }
})

test.each(panels)('the panel "$title" asks for what there is', ({ targets = [], description }) => {
  expect(description).toMatch(/\.$/)
  for (const { expr, legendFormat } of targets) {
    expect(problemsOf(expr, series)).toEqual([])
    for (const label of shownLabels(legendFormat)) expect(groupedBy(expr)).toContain(label)
  }
})

test("the gateways' own labels win over the pod's, those of workers do not", () => {
  const monitors = manifests.filter(({ kind }) => kind === 'PodMonitor')
  expect(monitors.map(({ metadata, spec }) => [metadata.name, spec])).toMatchObject([
    ['hansa', { namespaceSelector: { matchNames: ['hansa-system'] }, podMetricsEndpoints: [{ honorLabels: true }] }],
    ['hansa-workers', { namespaceSelector: { any: true }, podMetricsEndpoints: [{ path: '/metrics' }] }],
  ])
  expect(JSON.stringify(monitors[1])).not.toContain('honorLabels')
})
