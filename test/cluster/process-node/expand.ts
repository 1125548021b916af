/**
 * Replaces `$(NAME)` by the variable's value, as Kubernetes does in `env`, `command` and `args`: `$$` stands for one `$`, and a
 * reference to an unknown variable stays as it is.
 */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (reference, name: string | undefined) => {
    if (name === undefined) return '$'
    return variables.get(name) ?? reference
  })
}
