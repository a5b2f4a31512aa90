/**
 * Name of the environment variable by which a process of root tells the server that it starts as another user (setting
 * `user`) that it stays as the parent. Operators must not set it.
 */
export const LAUNCHED_VARIABLE = "EDGICORN_LAUNCHED";
