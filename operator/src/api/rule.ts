/** A CEL rule that the API server checks, with the message of its refusal. */
export type Rule = {
  rule: string
  message: string
  reason?: 'FieldValueInvalid' | 'FieldValueForbidden'
  fieldPath?: string
}

/** CEL rules as `x-kubernetes-validations`, to be spread into `.meta()`. */
export function rules(...list: Rule[]): { 'x-kubernetes-validations': Rule[] } {
  return { 'x-kubernetes-validations': list }
}

/** A list of objects that server-side apply merges by these keys. */
export function listMap(...keys: string[]): {
  'x-kubernetes-list-type': 'map'
  'x-kubernetes-list-map-keys': string[]
} {
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys }
}
