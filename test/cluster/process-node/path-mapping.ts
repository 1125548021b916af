/** Where a path in a container lies on this machine. */
export interface PathMapping {
  readonly containerPath: string
  readonly hostPath: string
}

/**
 * Makes a function that replaces container paths by host paths in a text, since a process has no mount namespace of its own.
 *
 * A path counts where it stands as a whole prefix: `/data` is found in `/data`, `--dir=/data/x`, `a:/data:b` and `file:///data/x`,
 * not in `/data2`, `/data.json`, `/var/data` or `https://host/data`. The longest path wins; nothing is replaced twice.
 */
export function createPathMapper(mappings: readonly PathMapping[]): (text: string) => string {
  const hostPaths = new Map<string, string>()
  for (const { containerPath, hostPath } of mappings) {
    const path = containerPath.replace(/\/+$/, '')
    if (path !== '') hostPaths.set(path, hostPath)
  }
  if (hostPaths.size === 0) return (text) => text
  const alternatives = [...hostPaths.keys()].sort((a, b) => b.length - a.length).map(literally)
  const pattern = new RegExp(`(?<=^|://|[^\\w./-])(?:${alternatives.join('|')})(?![\\w.-])`, 'gm')
  return (text) => text.replace(pattern, (path) => hostPaths.get(path) ?? path)
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
