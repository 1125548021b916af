/** `host:port`; IPv6 addresses in brackets. */
export const hostAndPortPattern = /^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$/
export const hostAndPortLength = 259

/** Address of an HTTP proxy without user, path and query. */
export const proxyUrlPattern = /^https?:\/\/[^\s/?#@]+\/?$/
export const proxyUrlLength = 512
