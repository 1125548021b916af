import type { Kind } from './kinds.ts'
import { code, prose, table } from './markdown.ts'

// What gateway and worker answer; the messages in the bodies say more.
const answers: readonly (readonly [string, string, string])[] = [
  [
    '400',
    'The request is not what HTTP/1.1 or the Open Inference Protocol asks for: path, headers, JSON, tensor names, shapes, datatypes.',
    'Read the body; compare the request with `GET <url>/v2/models/NAME`.',
  ],
  [
    '401',
    'No token, or one that is expired, of another audience, or of an issuer that the gateway does not know.',
    'Get a fresh one: `kubectl create token NAME --audience hansa`.',
  ],
  [
    '403',
    'The token is good, and `spec.access` of the service does not list its holder; or there is no such service.',
    'Compare the URL with `kubectl get inferenceservices.hansa.dev`; ask the owner of the service to list you.',
  ],
  [
    '404',
    'No such path, model or version.',
    'Paths have the form `<url>/v2/...`; the model has the name of the service.',
  ],
  ['405, 414, 431', 'A method, path length or number of headers that is not allowed.', 'Read the body.'],
  ['408', 'The body of the request did not arrive in time.', 'Check the network; send less at once.'],
  ['413', 'The body is larger than `spec.limits.requestBytes`.', 'Send less at once, or raise the limit.'],
  [
    '429',
    'Too many requests at once for `spec.limits.queueDepth` or `spec.limits.inFlight`.',
    'Wait for the seconds in `Retry-After`; add workers if it happens often.',
  ],
  [
    '500, 502',
    'A worker failed while it answered, or its answer is larger than `spec.limits.responseBytes`.',
    "Read the body; see the worker's logs: `kubectl logs` of the pods of `kubectl hansa status NAME`.",
  ],
  [
    '503',
    'No worker can take the request: none is ready or all are draining; or the gateway has no keys of an issuer yet.',
    'Try again after `Retry-After`; see the condition WorkersReady.',
  ],
  [
    '504',
    'The deadline passed: `spec.timeouts.requestSeconds` or the header `x-request-timeout-ms`.',
    'Allow more time, or send smaller batches.',
  ],
]

/** The page that answers "what does this word mean, and what do I do": all reasons of all kinds, and the HTTP answers. */
export function errorsPage(kinds: readonly Kind[]): string {
  return `<!-- Generated from operator/src/api by \`npm run generate\`; do not edit. -->
# Reasons and errors

Every reason that a condition, an event or a metric shows is one word of this list. \`kubectl hansa status NAME\` prints the
remedies beside the conditions.

## Reasons

${table(['reason', 'of', 'meaning', 'what to do'], reasonRows(kinds))}

## Answers to users' requests

The body is always \`{"error": "..."}\`.

${table(
  ['status', 'meaning', 'what to do'],
  answers.map(([status, meaning, remedy]) => [status, prose(meaning), prose(remedy)]),
)}

## Refused manifests

What the API server refuses, field by field: [InferenceService](reference/inferenceservice.md#what-the-api-server-refuses),
[Model](reference/model.md#what-the-api-server-refuses).
`
}

function reasonRows(kinds: readonly Kind[]): string[][] {
  const rows = kinds.flatMap((kind) =>
    Object.entries(kind.conditions).flatMap(([type, reasons]) =>
      Object.entries(reasons).map(([reason, text]) => ({ reason, of: `${kind.kind} ${type}`, ...text })),
    ),
  )
  rows.sort((a, b) => (a.reason === b.reason ? compare(a.of, b.of) : compare(a.reason, b.reason)))
  return rows.map((row) => [code(row.reason), `${row.of}: ${row.status}`, prose(row.meaning), prose(row.remedy)])
}

/** By code points, so that the order is the same in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
