/** Where examples/digits.yaml puts everything. */
export const namespace = 'digits'
