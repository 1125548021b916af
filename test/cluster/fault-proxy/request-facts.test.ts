import { expect, test } from 'vitest'
import { isLastingWrite, requestFacts } from './request-facts.ts'

const facts = (method: string, url: string) => requestFacts({ method, url, headers: { 'user-agent': 'operator/1' } })

test.each([
  ['GET', '/api/v1/pods', 'list', { group: '', resource: 'pods' }],
  ['GET', '/api/v1/namespaces', 'list', { resource: 'namespaces', namespace: '' }],
  ['GET', '/api/v1/namespaces/a', 'get', { resource: 'namespaces', name: 'a', namespace: '' }],
  ['PUT', '/api/v1/namespaces/a/finalize', 'update', { resource: 'namespaces', name: 'a', subresource: 'finalize' }],
  ['GET', '/api/v1/namespaces/a/pods?watch=true', 'watch', { resource: 'pods', namespace: 'a' }],
  ['GET', '/api/v1/namespaces/a/pods?watch=1', 'watch', { resource: 'pods' }],
  ['GET', '/api/v1/namespaces/a/pods/b/log?follow=1', 'get', { name: 'b', subresource: 'log' }],
  ['POST', '/apis/hansa.dev/v1alpha1/namespaces/a/models', 'create', { group: 'hansa.dev', resource: 'models' }],
  ['PATCH', '/apis/hansa.dev/v1alpha1/namespaces/a/models/m/status', 'patch', { name: 'm', subresource: 'status' }],
  ['DELETE', '/apis/hansa.dev/v1alpha1/peers/p', 'delete', { resource: 'peers', name: 'p', namespace: '' }],
  ['DELETE', '/api/v1/namespaces/a/secrets', 'deletecollection', { resource: 'secrets', name: '' }],
  ['GET', '/healthz', 'other', { resource: '' }],
  ['GET', '/apis/apps/v1', 'other', { group: 'apps', resource: '' }],
])('%s %s is read as %s', (method, url, verb, expected) => {
  expect(facts(method, url)).toMatchObject({ verb, userAgent: 'operator/1', ...expected })
})

test.each([
  ['POST', '/api/v1/namespaces/a/configmaps', true],
  ['PATCH', '/apis/apps/v1/namespaces/a/deployments/b?fieldManager=hansa', true],
  ['DELETE', '/api/v1/namespaces/a/pods/b', true],
  ['POST', '/api/v1/namespaces/a/pods/b/eviction', true],
  ['POST', '/api/v1/namespaces/a/configmaps?dryRun=All', false],
  ['PUT', '/apis/coordination.k8s.io/v1/namespaces/a/leases/b', false],
  ['POST', '/api/v1/namespaces/a/events', false],
  ['PATCH', '/apis/events.k8s.io/v1/namespaces/a/events/b', false],
  ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', false],
  ['POST', '/api/v1/namespaces/a/serviceaccounts/b/token', false],
  ['GET', '/api/v1/namespaces/a/configmaps', false],
])('%s %s lasts: %s', (method, url, lasts) => {
  expect(isLastingWrite(facts(method, url))).toBe(lasts)
})
