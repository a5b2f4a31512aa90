/**
 * Name of the environment variable in which a server describes its place to the server that takes it. Operators must not
 * set it.
 */
export const TAKEOVER_VARIABLE = "EDGICORN_TAKEOVER";
