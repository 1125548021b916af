import { expect, test } from 'vitest'
import { forbidden, missingFrom } from './rights.ts'

const of = (...lines: string[]) => ({ someone: { 'every namespace': lines } })

test.for([
  ['pods.*: get'],
  ['*: get'],
  ['models.hansa.dev: *'],
  ['clusterroles.rbac.authorization.k8s.io: bind get'],
  ['users: impersonate'],
  ['secrets: get'],
  ['secrets: create list'],
  ['pods/exec: create'],
  ['serviceaccounts/token: create'],
  ['gets secrets (by a volume)'],
  ['gets tokens of service accounts (by a volume)'],
])('%s may be in no table', ([line]) => {
  expect(forbidden(of(line ?? ''))).toEqual([`someone in every namespace: ${line}`])
})

test('Secrets by name, their creation, and pods without credentials may', () => {
  expect(forbidden(of('secrets hansa-ca: get', 'secrets: create', 'makes pods without credentials'))).toEqual([])
})

test('tables are compared line by line', () => {
  expect(missingFrom(of('a: get', 'b: get'), of('b: get'))).toEqual(['someone in every namespace: a: get'])
  expect(missingFrom(of('b: get'), {})).toEqual(['someone in every namespace: b: get'])
})
