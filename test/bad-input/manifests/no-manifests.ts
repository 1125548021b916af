import type { BadInputCase, Refusal } from '../case.ts'
import { apiPath, attempt, type ManifestContext } from './cluster.ts'
import { service } from './valid.ts'

type Case = BadInputCase<ManifestContext>

/** Bodies that are no manifest of the kind that they are sent to. */
export function noManifests(): Case[] {
  const post = (name: string, body: string, expected: Refusal, contentType = 'application/json'): Case => ({
    name: `no manifest: ${name}`,
    expected,
    run: ({ owner }) => attempt(owner, { method: 'POST', path: apiPath('InferenceService'), body, contentType }),
  })
  const text = JSON.stringify(service('text'))
  const aliases = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}*a${i}]`)
  return [
    post('an empty body', ' ', { status: 400 }),
    post('half a document', text.slice(0, -20), { status: 400 }),
    post('a list', `[${text}]`, { status: 400 }),
    post('a string', '"InferenceService"', { status: 400 }),
    post('bytes', '\u0000\u0001\u0002', { status: 400 }),
    post('nested 100,000 deep', `${'{"spec":'.repeat(100_000)}1${'}'.repeat(100_000)}`, { status: 400 }),
    post('an unknown media type', text, { status: 415 }, 'application/x-hansa'),
    post('a key twice', text.replace('"suspend":false', '"suspend":false,"suspend":true'), {
      status: 400,
      message: 'duplicate field "spec.suspend"',
    }),
    post('__proto__', text.replace('"suspend":false', '"__proto__":{"suspend":true}'), {
      status: 400,
      message: 'unknown field "spec.__proto__"',
    }),
    post('another kind', text.replace('"InferenceService"', '"Model"'), {
      status: 422,
      message: 'must be InferenceService',
    }),
    post('another version', text.replace('v1alpha1', 'v9'), {
      status: 400,
      message: 'in version "v9" cannot be handled',
    }),
    post('no kind', text.replace('"kind":"InferenceService",', ''), { status: 400, message: 'Kind' }),
    post('4 MB of description', text.replace('"suspend":false', `"x":"${'x'.repeat(4_000_000)}"`), {
      status: 413,
      message: 'too large',
    }),
    post('YAML that grows without end', `a0: &a0 x\n${aliases.join('\n')}\n`, { status: 400 }, 'application/yaml'),
    post('YAML with tabs', 'kind:\n\t- x\n', { status: 400 }, 'application/yaml'),
    post('another namespace', text.replace('"metadata":{', '"metadata":{"namespace":"kube-system",'), {
      status: 400,
      message: 'the namespace of the provided object does not match',
    }),
  ]
}
