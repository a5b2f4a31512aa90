/**
 * Name of the environment variable in which a server describes itself to the server that replaces it. Operators must
 * not set it.
 */
export const TAKEOVER_VARIABLE = "EDGICORN_TAKEOVER";
