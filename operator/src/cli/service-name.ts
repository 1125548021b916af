import { InvalidArgumentError } from 'commander'

const kinds = ['infer', 'inferenceservice', 'inferenceservices', 'inferenceservices.hansa.dev']

/** The name in NAME or infer/NAME, as kubectl takes it. */
export function serviceName(text: string): string {
  const [kind = '', name, ...more] = text.split('/')
  if (name === undefined) return kind
  if (kinds.includes(kind.toLowerCase()) && name !== '' && more.length === 0) return name
  throw new InvalidArgumentError('must be NAME or infer/NAME, the name of an InferenceService')
}
